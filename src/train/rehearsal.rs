//! A job, here → how fast this machine decodes its images and takes its steps. Nothing is written and nothing is learnt.

use std::time::{Duration, Instant};

use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::comm::World;
use crate::comm::gpu::finish_on;
use crate::config::{Experiment, Job};
use crate::error::Result;
use crate::telemetry::Speeds;
use crate::train::checkpoint::Position;
use crate::train::data::{Data, resolve};
use crate::train::epoch::{Trainer, pieces};
use crate::train::loader::{Batch, Source, Views, memory};
use crate::train::optimizer::Sgd;
use crate::train::order::{Share, shuffled};
use crate::train::parallel::Team;
use crate::train::recorded::Recorder;
use crate::train::run::{Options, Run, statistics, tensors_of};
use crate::train::sums::Sums;

/// Images that are decoded for the first two figures.
const DECODED: usize = 512;
/// Steps before the first that counts: libtorch chooses its kernels in them.
const WARM: usize = 2;
/// Steps that count: as many as fit into the patience, but within these.
const STEPS: (u64, u64) = (2, 50);

/// Rehearses one experiment for about `patience`; `beat` hears of each step that ends, the warm ones first. Collective.
pub fn rehearse(
    job: &Job,
    experiment: &Experiment,
    world: &World,
    options: &Options,
    patience: Duration,
    beat: &mut dyn FnMut(usize),
) -> Result<Speeds> {
    let data = world.agree(Data::load(job, experiment, options))?;
    let config = resolve(job, experiment, &data)?;
    let run = Run::of(job, &config, &data, world, options);
    let team = Team::of(world, config.recipe.ranks, options.device)?;
    let outcome = run.rehearse(&team, patience, beat);
    team.leave(outcome)
}

impl Run<'_> {
    fn rehearse(&self, team: &Team<'_>, patience: Duration, beat: &mut dyn FnMut(usize)) -> Result<Speeds> {
        let (world, recipe) = (self.world, &self.config.recipe);
        let (model, pool) = (world.agree(self.model())?, self.options.pool()?);
        let ranks = world.size() as f64;
        let [first_read, decoding] = [(); 2].map(|()| decode(&self.data.train, &pool));
        let parameters = tensors_of(model.parameters());
        let all_reduce_s = (world.size() > 1).then(|| all_reduce_seconds(team, &parameters)).transpose()?;
        let mut trainer = Trainer {
            config: self.config,
            model: &model,
            sgd: Sgd::new(model.parameters(), recipe),
            team,
            averaging: team.average(&parameters)?,
            statistics: statistics(team, &model, recipe.batch_norm),
            device: self.options.device,
            pool: &pool,
            stop: self.options.stop.clone(),
            recorder: Recorder::of(recipe, world, self.options.device)?,
        };
        let step_s = median(trainer.steps(&self.data.train, patience, beat)?);
        Ok(Speeds {
            run: self.config.id.to_string(),
            first_read: first_read? * ranks,
            decoding: decoding? * ranks,
            stepping: recipe.global_batch.min(self.data.train.samples.len()) as f64 / step_s,
            step_s,
            all_reduce_s,
            ranks: world.size(),
            threads: self.options.threads,
        })
    }
}

impl Trainer<'_> {
    /// Seconds of each step that counts. At a learning rate of zero the weights stay what they are.
    fn steps(&mut self, source: &Source, patience: Duration, beat: &mut dyn FnMut(usize)) -> Result<Vec<f64>> {
        let world = self.team.world;
        let share = Share { rank: world.rank(), world: world.size() };
        let order = shuffled(source.samples.len(), 0, 0);
        let batch = self.config.recipe.global_batch.min(order.len());
        let mut sums = Sums::of(&Position::default(), world, self.device)?;
        let memory = memory(&self.config.recipe, self.device);
        let mut round = |trainer: &mut Self, count: usize, beat: &mut dyn FnMut(usize)| {
            let piece = trainer.config.recipe.piece();
            let samples: Vec<usize> = order.iter().copied().cycle().take(batch * count).collect();
            let plan = samples.chunks(batch.max(1)).flat_map(|batch| pieces(batch, piece, share)).collect();
            std::thread::scope(|scope| {
                let mut seconds = Vec::new();
                let mut batches = source.stream(scope, trainer.pool, plan, Views::Random { seed: 0, epoch: 0 }, memory);
                for number in 0..count {
                    // All there before the clock starts: waiting for images is measured apart.
                    let parts = batch.div_ceil(piece);
                    let whole = batches.by_ref().take(parts).collect::<Result<Vec<Batch>>>()?;
                    let started = Instant::now();
                    trainer.step(whole.into_iter().map(Ok), parts, number as u64, 0.0, &mut sums)?;
                    finish_on(trainer.device);
                    seconds.push(started.elapsed().as_secs_f64());
                    beat(number);
                }
                Ok(seconds)
            })
        };
        let warm = round(self, WARM, beat)?;
        let slowest = Duration::from_secs_f64(warm.last().copied().unwrap_or_default()).as_micros().max(1);
        // All ranks take as many steps as the slowest has patience for.
        let fewest = u64::MAX - world.all_max(u64::MAX - (patience.as_micros() / slowest) as u64);
        round(self, fewest.clamp(STEPS.0, STEPS.1) as usize, beat)
    }
}

/// Images a second on `pool`, from the container to pixels.
fn decode(source: &Source, pool: &rayon::ThreadPool) -> Result<f64> {
    let step = source.samples.len().div_ceil(DECODED).max(1);
    let indices: Vec<usize> = (0..source.samples.len()).step_by(step).collect();
    let started = Instant::now();
    pool.install(|| {
        let place = || vec![0f32; 3 * source.side() * source.side()];
        indices.par_iter().try_for_each_init(place, |out, &index| source.fill(index, Views::Centre, out))
    })?;
    Ok(indices.len() as f64 / started.elapsed().as_secs_f64().max(1e-9))
}

/// Seconds of one all-reduce as large as all gradients together.
fn all_reduce_seconds(team: &Team<'_>, parameters: &[Tensor]) -> Result<f64> {
    let numbers: usize = parameters.iter().map(Tensor::numel).sum();
    let device = parameters.first().map_or(tch::Device::Cpu, Tensor::device);
    let gradients = Tensor::zeros([numbers as i64], (Kind::Float, device));
    let mut seconds = Vec::new();
    for _ in 0..3 {
        team.world.barrier();
        let started = Instant::now();
        team.all_reduce_sum(&gradients)?;
        finish_on(device);
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok(median(seconds))
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
