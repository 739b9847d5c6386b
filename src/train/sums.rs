//! One step's losses and logits at a time → an epoch's loss and hits, kept on the device so that no step waits for a number.

use tch::{Device, Kind, TchError, Tensor};

use crate::comm::World;
use crate::error::{Error, Result};
use crate::evaluate::DEFAULT_KS;
use crate::train::checkpoint::{Position, Row};

/// What `first_bad` holds while every loss was a number.
const NONE: i64 = i64::MAX;

/// This rank's sums over an epoch.
pub struct Sums {
    loss: Tensor,
    /// `[K]`, one a k of [`DEFAULT_KS`].
    hits: Tensor,
    /// The first step whose loss was no number.
    first_bad: Tensor,
    seen: u64,
}

/// What the ranks know together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The first step of the epoch whose loss was no number, on any rank.
    pub first_bad: Option<u64>,
    /// Whether rank 0 wants a checkpoint.
    pub due: bool,
}

impl Sums {
    /// What this rank had added up when the checkpoint was made. Another number of ranks gives it all to rank 0.
    pub fn of(position: &Position, world: &World, device: Device) -> Result<Self> {
        let row = if position.sums.len() == world.size() {
            position.sums[world.rank()]
        } else if world.is_root() {
            position.totals()
        } else {
            Row::default()
        };
        let hits = row.hits.map(|hits| hits as i64);
        let on_device = |tensor: Tensor| tensor.f_to_device(device).map_err(libtorch);
        Ok(Self {
            loss: on_device(Tensor::from(row.loss))?,
            hits: on_device(Tensor::from_slice(&hits))?,
            first_bad: on_device(Tensor::from(NONE))?,
            seen: row.seen as u64,
        })
    }

    /// Adds samples of step `step`: their losses `[N]`, logits `[N, C]` and labels `[N]`.
    pub fn add(&mut self, step: u64, losses: &Tensor, logits: &Tensor, labels: &Tensor) -> Result<()> {
        self.seen += labels.numel() as u64;
        let add = || -> std::result::Result<(), TchError> {
            let bad = losses.f_isfinite()?.f_all()?.f_logical_not()?;
            // NONE unless bad: the least of all steps is the first bad one.
            let here = bad.f_to_kind(Kind::Int64)?.f_mul_scalar(step as i64 - NONE)?.f_add_scalar(NONE)?;
            self.first_bad = self.first_bad.f_minimum(&here)?;
            self.loss = self.loss.f_add(&losses.f_sum(Kind::Double)?)?;
            self.hits = self.hits.f_add(&hits(logits, labels)?)?;
            Ok(())
        };
        tch::no_grad(add).map_err(libtorch)
    }

    /// Brings every rank's sums into the position, and what the ranks must agree on to all of them. Collective.
    pub fn settle(&self, world: &World, position: &mut Position, due: bool) -> Result<Look> {
        let hits = Vec::<i64>::try_from(&self.hits).map_err(libtorch)?;
        let first_bad = self.first_bad.int64_value(&[]);
        let mut mine = vec![self.loss.double_value(&[]), self.seen as f64];
        mine.extend(hits.iter().map(|&hits| hits as f64));
        // As a count of steps before it, so that adding the others' zeros leaves it as it is.
        mine.extend([if first_bad == NONE { 0.0 } else { first_bad as f64 + 1.0 }, f64::from(u8::from(due && world.is_root()))]);
        let mut all = vec![0.0; mine.len() * world.size()];
        all[mine.len() * world.rank()..][..mine.len()].copy_from_slice(&mine);
        world.all_sum(&mut all);
        let rows: Vec<&[f64]> = all.chunks_exact(mine.len()).collect();
        let row = |row: &&[f64]| {
            let mut hits = [0.0; DEFAULT_KS.len()];
            hits.iter_mut().zip(&row[2..]).for_each(|(hits, &value)| *hits = value);
            Row { loss: row[0], seen: row[1], hits }
        };
        position.sums = rows.iter().map(row).collect();
        let last_two = |row: &&[f64]| (row[row.len() - 2], row[row.len() - 1]);
        let bad = rows.iter().map(|row| last_two(row).0).filter(|&bad| bad > 0.0).min_by(f64::total_cmp);
        Ok(Look { first_bad: bad.map(|bad| bad as u64 - 1), due: rows.iter().any(|row| last_two(row).1 > 0.0) })
    }
}

/// How many of the logits `[N, C]` have fewer than k above that of the label, for each k, as int64 `[K]` on their device.
fn hits(logits: &Tensor, labels: &Tensor) -> std::result::Result<Tensor, TchError> {
    let right = logits.f_gather(1, &labels.f_unsqueeze(1)?, false)?;
    let rank = logits.f_gt_tensor(&right)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Int64)?;
    let each = DEFAULT_KS.iter().map(|&k| rank.f_lt(k as i64)?.f_sum(Kind::Int64));
    Tensor::f_stack(&each.collect::<std::result::Result<Vec<_>, _>>()?, 0)
}

fn libtorch(error: TchError) -> Error {
    Error::library("libtorch", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums() -> Sums {
        Sums::of(&Position::default(), &World::alone(), Device::Cpu).unwrap()
    }

    #[test]
    fn losses_and_hits_add_up_over_steps() {
        let mut sums = sums();
        // Of four classes the label's logit is the highest, the second and the last.
        let logits = Tensor::from_slice(&[4f32, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 1.0, 2.0, 3.0, 4.0]).view([3, 4]);
        let labels = Tensor::from_slice(&[0i64, 1, 0]);
        for step in 0..2 {
            sums.add(step, &Tensor::from_slice(&[0.5f32, 1.0, 2.0]), &logits, &labels).unwrap();
        }
        let mut position = Position::default();
        let look = sums.settle(&World::alone(), &mut position, true).unwrap();
        assert_eq!(look, Look { first_bad: None, due: true });
        assert_eq!(position.totals(), Row { loss: 7.0, seen: 6.0, hits: [2.0, 4.0, 6.0, 6.0] });
        // What a checkpoint held goes on.
        let mut resumed = Sums::of(&position, &World::alone(), Device::Cpu).unwrap();
        resumed.add(2, &Tensor::from_slice(&[1f32]), &logits.narrow(0, 0, 1), &labels.narrow(0, 0, 1)).unwrap();
        resumed.settle(&World::alone(), &mut position, false).unwrap();
        assert_eq!(position.totals(), Row { loss: 8.0, seen: 7.0, hits: [3.0, 5.0, 7.0, 7.0] });
    }

    #[test]
    fn the_first_step_whose_loss_is_no_number_is_remembered() {
        let mut sums = sums();
        let (logits, labels) = (Tensor::from_slice(&[1f32, 0.0]).view([1, 2]), Tensor::from_slice(&[0i64]));
        for (step, loss) in [(0, 1.0), (7, f32::INFINITY), (8, f32::NAN), (9, 1.0)] {
            sums.add(step, &Tensor::from_slice(&[loss]), &logits, &labels).unwrap();
        }
        let look = sums.settle(&World::alone(), &mut Position::default(), false).unwrap();
        assert_eq!(look, Look { first_bad: Some(7), due: false });
    }
}
