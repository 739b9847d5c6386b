//! tasks → reports, on one rank: one thread reads ahead, the pool prepares, one thread writes, all at once.
//!
//! ```text
//! tasks ─ reader ─┬─ prepare ─┬─ writer ─ reports
//!                 ├─ prepare ─┤
//!                 └─ prepare ─┘
//!         └──── room is taken ──── and given back ────┘
//! ```
//!
//! The reader numbers what it sends on, and the writer takes it in that order: which thread prepared an image, and when, does not show
//! in the result. From the end of one task it goes straight on to the next, so the pool never waits for a disk at a task's border.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, unbounded};
use serde::{Deserialize, Serialize};

use crate::comm::signals::StopFlag;
use crate::config::Package;
use crate::container::Refused;
use crate::error::Result;
use crate::preprocess::budget::{Budget, Load};
use crate::preprocess::pass::Pass;
use crate::preprocess::prepare::{Original, Prepared, prepare};
use crate::preprocess::source::{Archive, Source};
use crate::preprocess::work::{UnitWriter, join};
use crate::preprocess::{Manifest, Quarantined, Task, Unit};

/// Images a thread may have waiting before and behind it: enough that no thread idles while another is at a large one.
const AHEAD: usize = 8;

/// Stored bytes a thread may have waiting: 40 full-size photographs.
const AHEAD_BYTES: u64 = 24 << 20;

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The task.
    pub task: Task,
    /// The packs of chunks that it completed.
    pub manifests: Vec<(Package, Manifest)>,
    /// Whether a signal cut it short, so that it must be done again.
    pub abandoned: bool,
}

/// The working threads of one rank, while `direct` of [`employ`] runs.
pub struct Crew {
    tasks: Sender<Task>,
    /// What has come to its end. An error here is the environment's and ends the command.
    pub reports: Receiver<Result<Report>>,
}

impl Crew {
    /// Gives the crew a task; it is begun when those before it are read.
    pub fn submit(&self, task: Task) {
        // Where the reader is gone an error waits among the reports, and whoever submits looks there next.
        let _ = self.tasks.send(task);
    }
}

/// Runs a crew on `pool` for as long as `direct` gives it work. A raised `stop` lets it abandon what it has begun.
pub fn employ<T>(
    pass: &Pass,
    sources: &[Source],
    pool: &rayon::ThreadPool,
    stop: &StopFlag,
    direct: impl FnOnce(&Crew) -> Result<T>,
) -> Result<T> {
    let threads = pool.current_num_threads();
    let batch = pass.batch();
    let images = threads * AHEAD.max(2 * batch);
    let budget = Budget::new(Load { images, bytes: threads as u64 * AHEAD_BYTES });
    let (tasks, task_queue) = unbounded();
    let (groups, group_queue) = unbounded::<Numbered<Group>>();
    let (steps, step_queue) = unbounded::<Numbered<Result<Step>>>();
    let (reports, reported) = unbounded();

    std::thread::scope(|scope| {
        let to_writer = steps.clone();
        let read = Reading { sources, stop, budget: &budget, groups, steps, batch };
        scope.spawn(move || read.all(&task_queue));
        let (groups, steps) = (group_queue, to_writer);
        scope.spawn(move || pool.in_place_scope(|scope| scope.spawn_broadcast(|_, _| prepare_all(pass, &groups, &steps))));
        let budget = &budget;
        scope.spawn(move || {
            write_all(pass, budget, &step_queue, &reports);
            // After an error nobody gives room back any more.
            budget.close();
        });
        let outcome = direct(&Crew { tasks, reports: reported });
        if outcome.is_err() {
            budget.close();
        }
        outcome
    })
}

/// A message with its place in the order in which the reader sent it.
struct Numbered<T> {
    place: u64,
    content: T,
}

/// Images on their way to the pool.
struct Group {
    chunk: u32,
    originals: Vec<Original>,
    packages: Arc<[Package]>,
    load: Load,
}

/// What the writer does next.
enum Step {
    Begin { task: Task, refused: Vec<Quarantined>, fingerprint: String },
    Add { prepared: Vec<Prepared>, load: Load },
    End { abandoned: bool },
    Join { task: Task },
}

struct Reading<'a> {
    sources: &'a [Source],
    stop: &'a StopFlag,
    budget: &'a Budget,
    groups: Sender<Numbered<Group>>,
    steps: Sender<Numbered<Result<Step>>>,
    batch: usize,
}

/// The other side is gone: the work has come to its end.
struct Over;

impl Reading<'_> {
    /// Reads the images of each task, in order, as far as there is room.
    fn all(self, tasks: &Receiver<Task>) {
        let (mut place, mut open) = (0, None);
        for task in tasks {
            let told = match self.one(task, &mut place, &mut open) {
                Ok(told) => told,
                Err(error) => self.tell(&mut place, Err(error)),
            };
            if told.is_err() {
                break;
            }
        }
    }

    fn one(&self, task: Task, place: &mut u64, open: &mut Option<Archive>) -> Result<Result<(), Over>> {
        let Task::Prepare { unit, packages } = &task else {
            return Ok(self.tell(place, Ok(Step::Join { task })));
        };
        if open.as_ref().is_none_or(|archive| archive.chunk() != unit.chunk) {
            // The old one is closed first, so that no more than one directory is held.
            drop(open.take());
            *open = Some(Archive::open(self.sources, unit.chunk)?);
        }
        let archive = open.as_ref().expect("it was just opened");
        let (unit, packages): (Unit, Arc<[Package]>) = (unit.clone(), packages.as_slice().into());
        let refused = if unit.first == 0 { archive.refused() } else { Vec::new() };
        if self.tell(place, Ok(Step::Begin { task, refused, fingerprint: archive.fingerprint().to_owned() })).is_err() {
            return Ok(Err(Over));
        }
        for files in archive.files_of(&unit)?.chunks(self.batch) {
            if self.stop.raised() {
                return Ok(self.tell(place, Ok(Step::End { abandoned: true })));
            }
            let load = Load { images: files.len(), bytes: files.iter().map(|(_, stored)| stored).sum() };
            if !self.budget.take(load) {
                return Ok(Err(Over));
            }
            let originals = files.iter().map(|(file, _)| {
                let jpeg = archive.read(file)?.map_err(|refused: Refused| Quarantined::entry(unit.chunk, refused));
                Ok(Original { file: file.clone(), jpeg })
            });
            let originals = originals.collect::<Result<Vec<_>>>()?;
            let content = Group { chunk: unit.chunk, originals, packages: Arc::clone(&packages), load };
            if self.groups.send(Numbered { place: next(place), content }).is_err() {
                return Ok(Err(Over));
            }
        }
        Ok(self.tell(place, Ok(Step::End { abandoned: false })))
    }

    fn tell(&self, place: &mut u64, content: Result<Step>) -> Result<(), Over> {
        self.steps.send(Numbered { place: next(place), content }).map_err(|_| Over)
    }
}

fn next(place: &mut u64) -> u64 {
    *place += 1;
    *place - 1
}

/// One thread of the pool: prepares groups as they come, in any order.
fn prepare_all(pass: &Pass, groups: &Receiver<Numbered<Group>>, steps: &Sender<Numbered<Result<Step>>>) {
    for Numbered { place, content: Group { chunk, originals, packages, load } } in groups {
        let prepared = prepare(chunk, originals, &packages, &pass.settings, pass.detector.as_deref());
        let content = prepared.map(|prepared| Step::Add { prepared, load });
        if steps.send(Numbered { place, content }).is_err() {
            break;
        }
    }
}

/// The writing thread: takes the steps in the reader's order and reports every task's end, or the first error.
fn write_all(pass: &Pass, budget: &Budget, steps: &Receiver<Numbered<Result<Step>>>, reports: &Sender<Result<Report>>) {
    let (mut early, mut due, mut current) = (BTreeMap::new(), 0, None);
    for Numbered { place, content } in steps {
        early.insert(place, content);
        while let Some(content) = early.remove(&due) {
            due += 1;
            let report = content.and_then(|step| take(step, pass, budget, &mut current)).transpose();
            let failed = matches!(report, Some(Err(_)));
            if report.is_some_and(|report| reports.send(report).is_err()) || failed {
                return;
            }
        }
    }
}

/// Does one step; some end a task.
fn take(step: Step, pass: &Pass, budget: &Budget, current: &mut Option<(Task, UnitWriter)>) -> Result<Option<Report>> {
    match step {
        Step::Begin { task, refused, fingerprint } => {
            let Task::Prepare { unit, packages } = &task else { return Ok(None) };
            let writer = UnitWriter::create(pass, unit.clone(), packages, &refused, fingerprint)?;
            *current = Some((task, writer));
            Ok(None)
        }
        Step::Add { prepared, load } => {
            if let Some((_, writer)) = current {
                prepared.into_iter().try_for_each(|prepared| writer.add(prepared))?;
            }
            budget.give(load);
            Ok(None)
        }
        Step::End { abandoned } => {
            let Some((task, writer)) = current.take() else { return Ok(None) };
            let manifests = if abandoned { Vec::new() } else { writer.finish()? };
            Ok(Some(Report { task, manifests, abandoned }))
        }
        Step::Join { task } => {
            let Task::Join { units, packages } = &task else { return Ok(None) };
            let manifests = join(pass, units, packages)?;
            Ok(Some(Report { task, manifests, abandoned: false }))
        }
    }
}
