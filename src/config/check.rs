//! A job as it was read → what is wrong with it that a type cannot rule out.

use std::collections::BTreeSet;

use crate::config::{BACKBONES, EXPERIMENTS, Experiment, Grid, Job, OnNonFinite, Partition, Recipe, Split, nearest};
use crate::error::{Error, Result};

impl Job {
    /// Whether everything in it makes sense together.
    pub(super) fn check(&self) -> Result<()> {
        let faults = [
            (self.name.is_empty() || self.name.contains(['/', ' ']), "`name` must be one word without `/`"),
            (self.train.fault().is_some(), self.train.fault().unwrap_or_default()),
            (self.grid.experiments().is_empty(), "the grid has no experiments: every axis needs a value"),
            (self.grid.idle_exclusion().is_some(), "a line of `grid.exclude` leaves nothing out: is a value misspelled?"),
            (self.sweep.fault().is_some(), self.sweep.fault().unwrap_or_default()),
        ];
        if let Some((_, message)) = faults.into_iter().find(|(wrong, _)| *wrong) {
            return Err(Error::usage(message));
        }
        self.grid.check_names()?;
        self.check_tables()?;
        self.split.check(&self.grid.all_partitions())?;
        self.grid.experiments().iter().try_for_each(|experiment| self.check_recipe(experiment))?;
        self.preprocess.check()
    }

    /// Whether the recipe of one experiment makes sense: what differs on its axes may be what does not.
    fn check_recipe(&self, experiment: &Experiment) -> Result<()> {
        let Some(fault) = self.recipe_for(experiment).fault() else { return Ok(()) };
        let values = experiment.id.axis_values();
        let at_fault = |count: &usize| self.train.on(values[..*count].iter().copied()).fault() == Some(fault);
        // The first table that brings the fault in; the job's own [train] has none.
        let table = (1..=values.len()).find(at_fault).and_then(|count| values.get(count - 1)).copied().unwrap_or_default();
        Err(Error::usage(format!("[train.for.{table}]: {fault}, and is not for {}", experiment.id)))
    }

    /// Whether every table of changes is named after a value of an axis: a misspelled one would change nothing, without a word.
    fn check_tables(&self) -> Result<()> {
        let cells = self.grid.cells();
        let values: BTreeSet<&str> =
            cells.iter().flat_map(|cell| cell.id.axis_values()).filter(|value| !value.is_empty()).collect();
        let of_training = self.train.changes.keys().map(|name| ("train", name));
        let mut tables = of_training.chain(self.sweep.changes.keys().map(|name| ("sweep", name)));
        match tables.find(|(_, name)| !values.contains(name.as_str())) {
            Some((table, name)) => Err(Error::usage(format!("[{table}.for.{name}] is for no run: no axis has `{name}`"))
                .with_help(valid(name, &values.into_iter().collect::<Vec<_>>()))),
            None => Ok(()),
        }
    }
}

impl Split {
    /// Whether groups and shares are those of the job's own split columns: the published experiments are divided as the paper says.
    fn check(&self, partitions: &[Partition]) -> Result<()> {
        let splits = partitions.iter().map(|partition| partition.split.as_str());
        let own: Vec<&str> = splits.filter(|split| !EXPERIMENTS.contains(split)).collect();
        let of_groups = self.groups.keys().map(|split| ("groups", split));
        let mut named = of_groups.chain(self.shares.keys().map(|split| ("shares", split)));
        match named.find(|(_, split)| !own.contains(&split.as_str())) {
            Some((key, split)) => Err(not_ones_own(key, split, &own)),
            None => Ok(()),
        }
    }
}

/// The error for a key of `split.groups` or `split.shares` that is none of the job's `own` split columns.
fn not_ones_own(key: &str, split: &str, own: &[&str]) -> Error {
    let why = if EXPERIMENTS.contains(&split) {
        "a published experiment: it is divided as it was for the paper, 70/10/20 and without groups, or it would be another"
    } else {
        "which is no split column of a partition of your own"
    };
    let help = if own.is_empty() { "the job has none: `grid.partitions` lists them".to_owned() } else { valid(split, own) };
    Error::usage(format!("`split.{key}` names `{split}`, {why}")).with_help(help)
}

impl Recipe {
    /// The first value that makes no sense; the message names its key.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let at_least_0 = |value: f64| value >= 0.0 && value.is_finite();
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let faults = [
            (self.global_batch == 0, "`train.global_batch` must be at least 1"),
            (self.micro_batch > self.global_batch, "`train.micro_batch` must not be larger than `train.global_batch`"),
            (
                self.cuda_graphs && self.micro_batch > 0,
                "`train.cuda_graphs` records whole batches: leave out `train.micro_batch`",
            ),
            (
                self.cuda_graphs && self.on_nonfinite == OnNonFinite::Skip,
                "`train.cuda_graphs` records a step that nobody looks into: `train.on_nonfinite` must be \"stop\"",
            ),
            (self.ranks.timeout_s == 0, "`train.ranks.timeout_s` must be at least 1"),
            (self.epochs == 0, "`train.epochs` must be at least 1"),
            (!positive(self.lr), "`train.lr` must be a positive number"),
            (!(at_least_0(self.momentum) && self.momentum < 1.0), "`train.momentum` must be at least 0 and below 1"),
            (!at_least_0(self.weight_decay), "`train.weight_decay` must be 0 or a positive number"),
            (!positive(self.lr_decay), "`train.lr_decay` must be a positive number"),
            (!at_least_0(self.focal_gamma), "`train.focal_gamma` must be 0 or a positive number"),
            (!at_least_0(self.checkpoint_minutes), "`train.checkpoint_minutes` must be 0 or a positive number"),
            (self.crop.size == 0, "`train.crop.size` must be at least 1 pixel"),
            (self.crop.resize < self.crop.size, "`train.crop.resize` must not be smaller than `train.crop.size`"),
        ];
        faults.into_iter().find_map(|(wrong, message)| wrong.then_some(message))
    }
}

impl Grid {
    /// Whether every id is a name of its own, and one that a folder and a script can have.
    fn check_names(&self) -> Result<()> {
        if let Some(unknown) = self.backbones.iter().find(|name| !BACKBONES.contains(&name.as_str())) {
            return Err(
                Error::usage(format!("`grid.backbones`: there is no backbone `{unknown}`")).with_help(valid(unknown, &BACKBONES))
            );
        }
        let partitions = self.all_partitions();
        if let Some(odd) = partitions.iter().find(|partition| !is_plain(&partition.name)) {
            return Err(Error::usage(format!("`{}` cannot be the name of a partition", odd.name)).with_help(
                "it names folders and scripts: letters, digits, `.`, `_` and `-`, with a letter or a digit in front",
            ));
        }
        let names: Vec<&str> = partitions.iter().map(|partition| partition.name.as_str()).collect();
        let twice = [
            ("sizes", repeated(&self.sizes).cloned()),
            ("tasks", repeated(&self.tasks).cloned()),
            ("partitions", repeated(&names).map(|name| (*name).to_owned())),
            ("backbones", repeated(&self.backbones).cloned()),
            ("losses", repeated(&self.losses).map(ToString::to_string)),
            ("seeds", repeated(&self.seeds).map(ToString::to_string)),
        ];
        match twice.into_iter().find_map(|(axis, value)| Some((axis, value?))) {
            Some(("partitions", name)) => Err(Error::usage(format!("two partitions of the grid are called `{name}`"))
                .with_help("a run would count twice; sizes × tasks make partitions too: `{size}_{task}`")),
            Some((axis, value)) => Err(Error::usage(format!("`grid.{axis}` lists `{value}` twice"))
                .with_help("a run would count twice; leave one of them out")),
            None => Ok(()),
        }
    }
}

/// Whether a name is safe in a path, a script and a table.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// The first value that was there before.
fn repeated<T: PartialEq>(values: &[T]) -> Option<&T> {
    values.iter().enumerate().find(|(index, value)| values[..*index].contains(value)).map(|(_, value)| value)
}

/// The nearest of the valid names, and all of them.
fn valid(wrong: &str, names: &[&str]) -> String {
    let near = nearest(wrong, names.iter().copied()).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    format!("{near}valid here: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    const GRID: &str =
        "sizes = [\"small\", \"large\"]\ntasks = [\"insect_order\"]\nbackbones = [\"resnet18\"]\nlosses = [\"CE\"]\n";

    fn checked(tables: &str, grid: &str) -> Result<()> {
        let text = format!("name = \"mini\"\npaths = {{ dataset = \"data\" }}\n{tables}\n[grid]\n{grid}");
        from_text::<Job>(&text, "job.toml").unwrap().check()
    }

    fn of_tables(tables: &str) -> Result<()> {
        checked(tables, &format!("{GRID}seeds = [1]\n"))
    }

    #[test]
    fn a_value_that_makes_no_sense_on_one_axis_is_named_with_its_table() {
        for (line, key) in [("global_batch = 0", "global_batch"), ("lr = -1.0", "lr"), ("epochs = 0", "epochs")] {
            let error = of_tables(&format!("[train.for.small]\n{line}")).unwrap_err();
            let begin = format!("[train.for.small]: `train.{key}` must be ");
            assert!(error.to_string().starts_with(&begin), "{error}");
            assert!(error.to_string().ends_with("small_insect_order-resnet18-CE-s1"), "{error}");
        }
        let cut = of_tables("[train]\nmicro_batch = 16\n[train.for.large]\nglobal_batch = 8").unwrap_err();
        assert!(cut.to_string().starts_with("[train.for.large]: `train.micro_batch` must not be larger"), "{cut}");
        // The narrower table has the last word.
        of_tables("[train.for.CE]\nlr = 0.0\n[train.for.resnet18]\nlr = 0.1").unwrap();
    }

    #[test]
    fn figures_of_the_optimiser_that_lead_nowhere_are_refused() {
        for line in
            ["momentum = -3.0", "momentum = 1.0", "lr_decay = nan", "lr_decay = 0.0", "weight_decay = -0.1", "focal_gamma = inf"]
        {
            let error = of_tables(&format!("[train]\n{line}")).unwrap_err();
            assert!(error.to_string().contains(&format!("`train.{}`", line.split(' ').next().unwrap())), "{error}");
        }
        of_tables("[train]\nmomentum = 0.0\nweight_decay = 0.0\nfocal_gamma = 0.0\nmicro_batch = 32").unwrap();
    }

    #[test]
    fn a_table_for_no_value_of_an_axis_is_answered_with_the_nearest() {
        for (table, line) in [("train.for.lrage", "lr = 0.1"), ("sweep.for.lrage", "gpus = 2")] {
            let error = of_tables(&format!("[{table}]\n{line}")).unwrap_err();
            assert_eq!(error.to_string(), format!("[{table}] is for no run: no axis has `lrage`"));
            assert!(error.help().unwrap().starts_with("did you mean `large`? valid here: "), "{error:?}");
        }
        for value in ["large", "insect_order", "CE", "resnet18", "small_insect_order"] {
            of_tables(&format!("[train.for.{value}]\nlr = 0.1\n[sweep.for.{value}]\ngpus = 2")).unwrap();
        }
    }

    #[test]
    fn an_unknown_backbone_is_answered_with_the_nearest() {
        let error = checked("", &format!("{GRID}seeds = [1]").replace("resnet18", "resnet5O")).unwrap_err();
        assert!(error.help().unwrap().starts_with("did you mean `resnet50`? valid here: test_resnet, "), "{error:?}");
    }

    #[test]
    fn a_partitions_name_must_be_safe_in_a_path_and_a_script() {
        let named = |name: &str| {
            checked("", &format!("{GRID}seeds = [1]\npartitions = [{{ name = {name:?}, label = \"order\", split = \"mine\" }}]"))
        };
        for name in ["../x y", "..", "a/b", "", "-a", "a\nb", "é"] {
            assert!(named(name).unwrap_err().help().unwrap().contains("letters, digits"), "{name}");
        }
        named("my-own.data_2").unwrap();
    }

    #[test]
    fn a_value_listed_twice_would_count_its_runs_twice() {
        let says = |grid: &str| checked("", grid).unwrap_err().to_string();
        assert_eq!(says(&format!("{GRID}seeds = [1, 2, 1, 2]")), "`grid.seeds` lists `1` twice");
        let backbones = format!("{GRID}seeds = [1]").replace("[\"resnet18\"]", "[\"resnet18\", \"resnet18\"]");
        assert_eq!(says(&backbones), "`grid.backbones` lists `resnet18` twice");
        let own = "partitions = [{ name = \"small_insect_order\", label = \"order\", split = \"mine\" }]";
        assert_eq!(says(&format!("{GRID}seeds = [1]\n{own}")), "two partitions of the grid are called `small_insect_order`");
    }

    /// A job with a partition of its own beside the paper's, divided as `split` says.
    fn of_split(split: &str) -> Result<()> {
        let own = "partitions = [{ name = \"mine\", label = \"order\", split = \"mine_split\" }]";
        checked(&format!("[split]\n{split}"), &format!("{GRID}seeds = [1]\n{own}"))
    }

    #[test]
    fn groups_and_shares_are_for_split_columns_of_ones_own() {
        for line in ["groups = { COLUMN = \"nucraw\" }", "shares = { COLUMN = [0.8, 0.1, 0.1] }"] {
            let key = line.split(' ').next().unwrap();
            let error = of_split(&line.replace("COLUMN", "mine_spilt")).unwrap_err();
            let expected = format!("`split.{key}` names `mine_spilt`, which is no split column of a partition of your own");
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.help().unwrap(), "did you mean `mine_split`? valid here: mine_split");
            let error = of_split(&line.replace("COLUMN", "large_insect_order")).unwrap_err();
            let expected = format!(
                "`split.{key}` names `large_insect_order`, a published experiment: it is divided as it was for the paper, "
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
            let error = of_tables(&format!("[split]\n{}", line.replace("COLUMN", "large_insect_order"))).unwrap_err();
            assert_eq!(error.help().unwrap(), "the job has none: `grid.partitions` lists them");
        }
    }

    #[cfg(feature = "torch")]
    #[test]
    fn the_names_of_the_backbones_are_the_models() {
        assert_eq!(BACKBONES.to_vec(), crate::model::BACKBONES.iter().map(|spec| spec.name).collect::<Vec<_>>());
    }
}
