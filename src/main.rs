//! Parse → dispatch → exit code.

use std::process::ExitCode;

use bioscan_hpc::cli::Cli;
use bioscan_hpc::comm;
use bioscan_hpc::error::Exit;
use bioscan_hpc::telemetry::doing;
use clap::Parser;

fn main() -> ExitCode {
    end_all_ranks_on_panic();
    Cli::parse().run()
}

/// A rank that unwinds alone leaves the others waiting until the time limit, so a panic takes the whole job down.
fn end_all_ranks_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        eprintln!("{}", comm::whereabouts(&doing::last()));
        eprintln!("this is a bug in bioscan-hpc {}; please report the lines above", env!("CARGO_PKG_VERSION"));
        comm::abort(Exit::Bug.code());
    }));
}
