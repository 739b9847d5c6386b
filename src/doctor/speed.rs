//! What a rehearsal measured → what would hold training up, and the setting that mends it.

use crate::doctor::findings::{Finding, finding};
use crate::telemetry::Speeds;

/// Decoding shares the cores with libtorch's own threads, and some batches are slower than others.
const MARGIN: f64 = 1.25;
/// More than this part of a step, and the backward pass can hardly hide it.
const HIDDEN: f64 = 0.5;

/// What would be slow here, the gravest first; empty where computing is all that takes time.
#[must_use]
pub fn slow(speeds: &Speeds) -> Vec<Finding> {
    [decoding(speeds), reading(speeds), adding_up(speeds)].into_iter().flatten().collect()
}

fn decoding(speeds: &Speeds) -> Option<Finding> {
    let Speeds { decoding, stepping, threads, .. } = speeds;
    let wanted = (*threads as f64 * stepping * MARGIN / decoding).ceil();
    (*decoding < stepping * MARGIN).then(|| {
        finding(
            format!("decoding gives {decoding:.0} images/s, and the steps take {stepping:.0}"),
            format!("`train.threads` or --cpus-per-task: {wanted:.0} cores a rank instead of {threads}"),
        )
    })
}

/// On a second look everything was in memory, so what the first lost it lost to the disk.
fn reading(speeds: &Speeds) -> Option<Finding> {
    let Speeds { first_read, decoding, stepping, .. } = speeds;
    (*first_read < stepping * MARGIN && *first_read < decoding / 2.0).then(|| {
        finding(
            format!("reading the images for the first time gives {first_read:.0} images/s, and the steps take {stepping:.0}"),
            "train --stage: one copy in large pieces to the node's own disk",
        )
    })
}

fn adding_up(speeds: &Speeds) -> Option<Finding> {
    let seconds = speeds.all_reduce_s?;
    (seconds > HIDDEN * speeds.step_s).then(|| {
        finding(
            format!(
                "adding up the gradients of {} ranks takes {:.0} ms by itself, and a step {:.0} ms",
                speeds.ranks,
                1e3 * seconds,
                1e3 * speeds.step_s
            ),
            "fewer ranks with more threads each, or a larger `train.global_batch`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Speeds {
        Speeds {
            run: "a-resnet50-CE-s1".into(),
            first_read: 900.0,
            decoding: 1000.0,
            stepping: 100.0,
            step_s: 0.32,
            all_reduce_s: Some(0.05),
            ranks: 2,
            threads: 1,
        }
    }

    #[test]
    fn where_computing_takes_the_time_nothing_is_wrong() {
        assert_eq!(slow(&well()), []);
    }

    #[test]
    fn each_thing_that_holds_training_up_has_its_setting() {
        // 1.25 · 1600 / 1000 = 2 cores.
        let found = slow(&Speeds { stepping: 1600.0, first_read: 1000.0, ..well() });
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "decoding gives 1000 images/s, and the steps take 1600");
        assert_eq!(found[0].setting, "`train.threads` or --cpus-per-task: 2 cores a rank instead of 1");
        let found = slow(&Speeds { first_read: 40.0, ..well() });
        assert!(found[0].setting.starts_with("train --stage"));
        let found = slow(&Speeds { all_reduce_s: Some(0.2), ..well() });
        assert_eq!(found[0].what, "adding up the gradients of 2 ranks takes 200 ms by itself, and a step 320 ms");
    }
}
