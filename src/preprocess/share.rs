//! a queue and the ranks → every task done by whoever was free.
//!
//! Rank 0 hands out, over two-sided messages (one-sided windows fail between hosts under Open MPI 4), and works as well: a manager
//! that only managed would waste a node. A rank alone is its own manager, by the same code. While a rank waits it sleeps, because
//! Open MPI's blocking calls would keep busy the cores that its threads need.

use std::time::Duration;

use crossbeam::channel::RecvTimeoutError;
use serde::{Deserialize, Serialize};

use crate::comm::World;
use crate::comm::signals::StopFlag;
use crate::error::{Error, Result};
use crate::preprocess::crew::{Crew, Report};
use crate::preprocess::{Queue, Task};

/// How long a rank sleeps between two looks at its messages. A unit takes a second; each rank has the next one already.
const LOOK: Duration = Duration::from_millis(2);

/// What rank 0 says to another.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    Do(Task),
    Finish,
}

/// Works until nothing is left, or as far as `stop` lets it. `queue` is rank 0's; `heard` sees each report there as it comes.
pub fn work(world: &World, crew: &Crew, queue: Option<Queue>, stop: &StopFlag, heard: impl FnMut(Report)) -> Result<()> {
    match queue {
        Some(queue) => manage(world, crew, queue, stop, heard),
        None => serve(world, crew),
    }
}

fn manage(world: &World, crew: &Crew, mut queue: Queue, stop: &StopFlag, mut heard: impl FnMut(Report)) -> Result<()> {
    let mut under_way = vec![0usize; world.size()];
    let mut stopping = false;
    loop {
        stopping |= stop.raised();
        if !stopping {
            hand_out(world, crew, &mut queue, &mut under_way)?;
        }
        if under_way.iter().all(|tasks| *tasks == 0) {
            break;
        }
        let mut reports: Vec<(usize, Report)> = wait(crew)?.into_iter().map(|report| (0, report)).collect();
        while let Some(message) = world.try_receive()? {
            reports.push(message);
        }
        for (rank, report) in reports {
            tracing::debug!("rank={rank} {}", report.task);
            under_way[rank] -= 1;
            stopping |= report.abandoned;
            if !report.abandoned {
                queue.finished(&report.task);
            }
            heard(report);
        }
    }
    (1..world.size()).try_for_each(|rank| world.send(rank, &Order::Finish))
}

/// Gives every rank a task, and while there are plenty a second one, so that none waits for its next.
fn hand_out(world: &World, crew: &Crew, queue: &mut Queue, under_way: &mut [usize]) -> Result<()> {
    for depth in 1..=2 {
        for (rank, tasks) in under_way.iter_mut().enumerate() {
            // Towards the end a second one would wait behind the first while another rank idles.
            let plenty = depth == 1 || queue.len() > world.size();
            if *tasks >= depth || !plenty {
                continue;
            }
            let Some(task) = queue.hand_out() else { return Ok(()) };
            *tasks += 1;
            match rank {
                0 => crew.submit(task),
                other => world.send(other, &Order::Do(task))?,
            }
        }
    }
    Ok(())
}

fn serve(world: &World, crew: &Crew) -> Result<()> {
    loop {
        while let Some((_, order)) = world.try_receive()? {
            match order {
                Order::Do(task) => crew.submit(task),
                Order::Finish => return Ok(()),
            }
        }
        if let Some(report) = wait(crew)? {
            world.send(0, &report)?;
        }
    }
}

/// The next report of this rank's crew, if one comes soon.
fn wait(crew: &Crew) -> Result<Option<Report>> {
    match crew.reports.recv_timeout(LOOK) {
        Ok(report) => report.map(Some),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        // The writer ends early only after an error, which was reported before.
        Err(RecvTimeoutError::Disconnected) => Err(Error::library("a working thread", "it ended without a word")),
    }
}
