//! Finds libtorch and MPI, compiles the C++ bridge of `src/comm/bridge` against them, and notes the git commit.
//!
//! `torch` alone compiles what the tch crate lacks; `torch` with `mpi` also the process group and the Reducer.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    note_git_commit();
    #[cfg(feature = "torch")]
    bridge::build();
}

/// Sets `BIOSCAN_GIT_COMMIT` for `env!`: the commit this is built from, empty outside a checkout.
fn note_git_commit() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets it"));
    // A source tree unpacked inside someone else's repository must not claim that repository's commit.
    let is_checkout = git(&here, &["rev-parse", "--show-toplevel"])
        .is_some_and(|top| Path::new(&top).canonicalize().ok() == here.canonicalize().ok());
    let commit = if is_checkout { git(&here, &["rev-parse", "HEAD"]) } else { None };
    println!("cargo::rustc-env=BIOSCAN_GIT_COMMIT={}", commit.unwrap_or_default());
    if is_checkout {
        // The reflog of HEAD grows with every commit and checkout; HEAD itself covers repositories that keep no reflog.
        for file in ["HEAD", "logs/HEAD"] {
            let path = git(&here, &["rev-parse", "--git-path", file]).map(|path| here.join(path));
            // Cargo takes a path that does not exist for changed, each time.
            if let Some(path) = path.filter(|path| path.exists()) {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(feature = "torch")]
mod bridge {
    use super::{Path, PathBuf, env};
    use std::fs;
    use std::sync::Mutex;

    /// The libtorch that the pinned tch crate is written for: `torch` under `[package.metadata.libtorch]` in Cargo.toml, where set-up
    /// reads it too.
    fn wanted() -> String {
        let manifest = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets it")).join("Cargo.toml");
        let text = fs::read_to_string(manifest).expect("Cargo has just read it");
        let pins = text.split_once("[package.metadata.libtorch]").expect("Cargo.toml holds the pin").1;
        let pin = pins.lines().find_map(|line| line.strip_prefix("torch = \"")?.strip_suffix('"'));
        pin.expect("Cargo.toml holds the pin").to_owned()
    }

    const FOLDER: &str = "src/comm/bridge";

    pub fn build() {
        let libtorch = Libtorch::find();
        libtorch.check_version();
        // For every binary and test: the program finds libtorch by itself, without LD_LIBRARY_PATH.
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", libtorch.libraries.display());
        println!("cargo::rerun-if-changed={FOLDER}");
        println!("cargo::rerun-if-env-changed=LIBTORCH_CXX11_ABI");
        println!("cargo::rerun-if-changed=Cargo.toml");

        let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
        let mut includes = vec![libtorch.include.clone(), libtorch.include.join("torch/csrc/api/include")];
        let mut sources = vec!["tensor.cpp", "step.cpp", "gpu.cpp", "plugin.cpp", "graph.cpp"];
        if cfg!(feature = "mpi") {
            includes.extend(mpi_includes());
            sources.extend(["mpi_roll_call.cpp", "mpi_staging.cpp", "mpi_worker.cpp", "mpi_backend.cpp"]);
            sources.extend(["process_group.cpp", "nccl.cpp", "reducer.cpp", "sync_batch_norm.cpp"]);
        }

        let mut compiler = cc::Build::new();
        compiler.cpp(true).std("c++17").extra_warnings(true).define("_GLIBCXX_USE_CXX11_ABI", abi.as_str());
        // What the debugger would learn is libtorch's headers, at twice the time.
        compiler.debug(false);
        // Open MPI's old C++ bindings would have to be linked.
        compiler.define("OMPI_SKIP_MPICXX", None);
        for folder in &includes {
            // As system headers: our warnings are about our code.
            compiler.flag("-isystem").flag(folder);
        }
        let headers = format!("libtorch {} {includes:?}\n{}", libtorch.version(), texts(|path| has_ending(path, "h")));
        // At its end the build waits for nothing else; Cargo says how many processes it may have.
        let jobs = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1);
        let queue = Mutex::new(sources);
        std::thread::scope(|scope| {
            for compiler in vec![compiler; jobs] {
                let (queue, headers) = (&queue, &headers);
                scope.spawn(move || {
                    while let Some(source) = { queue.lock().expect("no thread panicked while it held this").pop() } {
                        compile_if_changed(&compiler, Path::new(FOLDER).join(source), headers);
                    }
                });
            }
        });
        println!("cargo::rustc-link-lib=stdc++");
    }

    /// The same probe as the mpi crate's, so that both speak to one MPI library, which that crate links.
    #[cfg(feature = "mpi")]
    fn mpi_includes() -> Vec<PathBuf> {
        build_probe_mpi::probe().unwrap_or_else(|reasons| panic!("no MPI library was found: {reasons:?}")).include_paths
    }

    #[cfg(not(feature = "mpi"))]
    fn mpi_includes() -> Vec<PathBuf> {
        Vec::new()
    }

    /// libtorch's headers take half a minute a file to compile, and this script runs again after every commit: compiles only what is
    /// new, each source into a library of its own, which rustc packs into one.
    fn compile_if_changed(compiler: &cc::Build, source: PathBuf, headers: &str) {
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
        let stem = source.file_stem().expect("a source has a name").to_string_lossy().into_owned();
        let library = format!("bioscan_{stem}");
        let tool = compiler.get_compiler();
        let made_from = format!("{:?} {:?}\n{headers}{}", tool.path(), tool.args(), texts(|path| path == source));
        let note = out.join(format!("{library}.made-from"));
        if fs::read_to_string(&note).ok().as_ref() != Some(&made_from) || !out.join(format!("lib{library}.a")).exists() {
            compiler.clone().cargo_metadata(false).file(&source).compile(&library);
            fs::write(&note, made_from).unwrap_or_else(|error| panic!("cannot write {}: {error}", note.display()));
        }
        println!("cargo::rustc-link-search=native={}", out.display());
        println!("cargo::rustc-link-lib=static={library}");
    }

    /// The texts of those files of the bridge, by name.
    fn texts(wanted: impl Fn(&Path) -> bool) -> String {
        let files = fs::read_dir(FOLDER).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = files.filter(|path| wanted(path)).collect();
        files.sort();
        let read =
            |file: &PathBuf| fs::read_to_string(file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        files.iter().map(read).collect()
    }

    fn has_ending(path: &Path, ending: &str) -> bool {
        path.extension().is_some_and(|found| found == ending)
    }

    struct Libtorch {
        include: PathBuf,
        libraries: PathBuf,
    }

    impl Libtorch {
        /// The one that torch-sys links to.
        fn find() -> Self {
            println!("cargo::rerun-if-env-changed=LIBTORCH_INCLUDE");
            let libraries = PathBuf::from(env::var_os("DEP_TCH_LIBTORCH_LIB").expect("torch-sys, a direct dependency, sets it"));
            let root = env::var_os("LIBTORCH_INCLUDE").map(PathBuf::from);
            let root = root.or_else(|| libraries.parent().map(Path::to_owned)).expect("libtorch's lib folder has a parent");
            Self { include: root.join("include"), libraries }
        }

        fn version(&self) -> String {
            // The header moved in 2.10.
            let headers = ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"];
            let found = headers.iter().find_map(|header| version_in(&self.include.join(header)));
            found.unwrap_or_else(|| "of an unknown version".into())
        }

        /// torch-sys reads the version of a plain libtorch but not of a Python wheel; a wrong one compiles or crashes by luck.
        fn check_version(&self) {
            println!("cargo::rerun-if-env-changed=LIBTORCH_BYPASS_VERSION_CHECK");
            let (found, wanted) = (self.version(), wanted());
            println!("cargo::rustc-env=BIOSCAN_TORCH_VERSION={found}");
            assert!(
                found == wanted || env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some(),
                "libtorch in {} is {found}, this program wants {wanted}.\n\
                 Install torch=={wanted} (`make setup` does), or change the tch dependency to the one that goes with {found}, \
                 or set LIBTORCH_BYPASS_VERSION_CHECK=1 to try it as it is.",
                self.libraries.display()
            );
        }
    }

    /// "2.11.0" out of `#define TORCH_VERSION_MAJOR 2` and its two sisters.
    fn version_in(header: &Path) -> Option<String> {
        let text = fs::read_to_string(header).ok()?;
        println!("cargo::rerun-if-changed={}", header.display());
        let part = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("#define TORCH_VERSION_")?.strip_prefix(name))?;
            line.trim().parse::<u32>().ok()
        };
        Some(format!("{}.{}.{}", part("MAJOR")?, part("MINOR")?, part("PATCH")?))
    }
}
