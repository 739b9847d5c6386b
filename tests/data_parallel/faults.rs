//! What happens when a rank is lost.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use bioscan_hpc::comm::process_group::{GroupOptions, ProcessGroup};
use bioscan_hpc::comm::reducer::{Reducer, ReducerOptions};
use bioscan_hpc::comm::{World, abort, whereabouts};
use tch::{Device, Kind, Tensor};

use crate::launch::{mpirun, mpirun_in, story, text, told};
use crate::net::{Batch, Net, backward};

#[test]
fn a_killed_rank_ends_the_job_in_words_that_name_it_and_its_host() {
    let started = Instant::now();
    let output = mpirun(2, "killed");
    assert!(!output.status.success(), "the job outlived a rank: {}", text(&output));
    assert!(started.elapsed() < Duration::from_secs(60), "the job took {:?} to end", started.elapsed());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let host = whereabouts("");
    assert!(["rank 1", host.as_str(), "signal 9"].iter().all(|word| said.contains(word)), "{said}");
}

#[test]
fn a_rank_missing_from_the_backward_pass_is_an_error_after_the_time_out_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = mpirun_in(folder.path(), 3, "missing");
    assert_eq!(output.status.code(), Some(6), "{}", text(&output));
    let story = told(folder.path(), &output);
    let said = format!("waited 1.5 s for rank 1 on {}", whereabouts(""));
    assert!(story.contains("all-reduce of ") && story.contains(&said), "{story}");
}

pub fn killed(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    let gradients = Tensor::ones([100_000], (Kind::Float, Device::Cpu));
    for step in 0.. {
        if step == 20 && world.rank() == 1 {
            Command::new("kill").args(["-9", &std::process::id().to_string()]).status().unwrap();
        }
        group.all_reduce_sum(&gradients).unwrap();
    }
}

pub fn missing(world: &World) {
    let timeout = Duration::from_millis(1500);
    let group = ProcessGroup::over_mpi(world, GroupOptions { timeout, ..Default::default() }).unwrap();
    let net = Net::new(Kind::Float, 1);
    let mut reducer = Reducer::new(&group, &net.parameters(), ReducerOptions::default()).unwrap();
    let whole = Batch::whole(8, Kind::Float);
    if world.rank() == 1 {
        std::thread::sleep(Duration::from_secs(100));
        panic!("the others should have ended the job");
    }
    let started = Instant::now();
    let error = backward(&net, &mut reducer, &whole, &[3, 3, 2], world.rank()).unwrap_err();
    let waited = started.elapsed();
    assert!(waited >= timeout && waited < timeout + Duration::from_secs(5), "an error after {waited:?}");

    // From now on the ranks would disagree on which collective comes next: none is started again.
    let started = Instant::now();
    let later = group.barrier().unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(later.to_string().contains("for rank 1 on"), "{later}");

    drop(reducer);
    drop(group);
    if world.rank() == 2 {
        std::thread::sleep(Duration::from_secs(100));
    }
    fs::write(story(), format!("{error}\n{later}")).unwrap();
    abort(6);
}
