//! The plug-in, `libbioscan_cuda.so` beside the program: what must be linked to libtorch's CUDA half, NCCL and CUDA graphs.
//!
//! `make cuda` builds it. A program that trains on CPUs, or on one GPU without graphs, needs none.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use crate::error::{Error, Result};

const NAME: &str = "libbioscan_cuda.so";

/// Where the plug-in is; `wanting` is what needs it, and `instead` what does without.
///
/// # Errors
/// Wrong usage where it is not, with how to build it.
pub(super) fn plugin(wanting: &str, instead: &str) -> Result<CString> {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(NAME)));
    let path = beside.filter(|path| path.is_file()).ok_or_else(|| {
        Error::usage(format!("{wanting} needs {NAME} beside the program, and it is not there"))
            .with_help(format!("`make cuda` builds it; or {instead}"))
    })?;
    CString::new(path.as_os_str().as_bytes()).map_err(|error| Error::Comm(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_plug_in_the_user_is_told_how_to_get_it() {
        if let Err(error) = plugin("a dance", "stand still") {
            assert_eq!(error.to_string(), "a dance needs libbioscan_cuda.so beside the program, and it is not there");
            assert_eq!(error.help().as_deref(), Some("`make cuda` builds it; or stand still"));
        }
    }
}
