//! The tensors of a file against those of a network → what is loaded, or one error that names everything that does not fit.

use std::collections::BTreeMap;
use std::fmt;

use tch::Tensor;

use super::variables::Variables;
use super::weight_file::is_counter;
use super::{positions, vit};
use crate::error::{Error, Result};

/// What [`Model::load_pretrained`](super::Model::load_pretrained) did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors taken from the file.
    pub loaded: usize,
    /// The classifier kept its initial weights, as the file's has other classes or none.
    pub head_replaced: bool,
    /// The classes of the file's own classifier, where it has one.
    pub head_classes: Option<usize>,
    /// The position embedding was resampled: patches a side in the file and in the network.
    pub positions_resampled: Option<(usize, usize)>,
}

/// As a sentence for the log: nothing that was left out is silent.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors loaded", self.loaded)?;
        match (self.head_replaced, self.head_classes) {
            (true, Some(classes)) => write!(f, "; the classifier is a new one, the file's is for {classes} classes")?,
            (true, None) => f.write_str("; the classifier is a new one, the file has none")?,
            (false, _) => {}
        }
        if let Some((from, to)) = self.positions_resampled {
            write!(f, "; positions resampled from {from}×{from} to {to}×{to} patches")?;
        }
        Ok(())
    }
}

/// Shapes by name.
pub(super) type Shapes = BTreeMap<String, Vec<i64>>;

/// Copies every tensor, names and shapes being exactly those of the network. Nothing is copied if one does not fit.
pub(super) fn load_exact(variables: &Variables, tensors: &[(String, Tensor)]) -> Result<(), String> {
    let found = by_name(tensors);
    fit(&variables.shapes(), &shapes(&found), |_| false)?;
    copy(variables, &found).map(drop)
}

/// Copies pretrained tensors; the classifier under `head` is left alone where its shape differs or it is missing, the position
/// embedding is resampled where the grid differs.
pub(super) fn load_pretrained(variables: &Variables, head: &str, tensors: &[(String, Tensor)]) -> Result<LoadReport, String> {
    let mut found = by_name(tensors);
    let mut report = LoadReport { head_classes: classes(head, &shapes(&found)), ..LoadReport::default() };
    let is_head = |name: &str| is_under(name, head);

    if variables.iter().any(|wanted| is_head(&wanted.name) && found.get(&wanted.name).is_none_or(|t| t.size() != wanted.shape()))
    {
        found.retain(|name, _| !is_head(name));
        report.head_replaced = true;
    }
    if let Some(wanted) = variables.iter().find(|variable| variable.name == vit::POSITIONS)
        && let Some(positions) = found.get_mut(vit::POSITIONS)
        && let Some((from, to)) = positions::grids(&positions.size(), &wanted.shape())
    {
        *positions = positions::resample(positions, from, to).map_err(|e| e.to_string())?;
        report.positions_resampled = Some((from as usize, to as usize));
    }
    fit(&variables.shapes(), &shapes(&found), |name| report.head_replaced && is_head(name))?;
    report.loaded = copy(variables, &found)?;
    Ok(report)
}

type Named = BTreeMap<String, Tensor>;

/// By name, less what PyTorch counts but inference and training never read.
fn by_name(tensors: &[(String, Tensor)]) -> Named {
    let kept = tensors.iter().filter(|(name, _)| !is_counter(name));
    kept.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
}

/// The shapes of what was found, less what [`by_name`] leaves out.
pub(super) fn shapes_of(tensors: &[(String, Tensor)]) -> Shapes {
    shapes(&by_name(tensors))
}

fn shapes(found: &Named) -> Shapes {
    found.iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect()
}

/// Whether a tensor belongs to the layer `head`.
pub(super) fn is_under(name: &str, head: &str) -> bool {
    name.strip_prefix(head).is_some_and(|rest| rest.starts_with('.'))
}

/// The outputs of the layer `head`, if there is one.
pub(super) fn classes(head: &str, found: &Shapes) -> Option<usize> {
    let &[classes, _] = found.get(&format!("{head}.weight"))?.as_slice() else { return None };
    usize::try_from(classes).ok()
}

/// Every difference between what the network wants and what was found, in one message; names for which `optional` holds may be missing.
pub(super) fn fit(wanted: &Shapes, found: &Shapes, optional: impl Fn(&str) -> bool) -> Result<(), String> {
    let missing =
        wanted.keys().filter(|name| !found.contains_key(*name) && !optional(name)).map(|name| format!("`{name}`")).collect();
    let unexpected = found.keys().filter(|name| !wanted.contains_key(*name)).map(|name| format!("`{name}`")).collect();
    let misshapen = wanted.iter().filter_map(|(name, shape)| {
        let size = found.get(name)?;
        (size != shape).then(|| format!("`{name}` is {size:?}, not {shape:?}"))
    });
    let faults: Vec<String> = [("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen.collect())]
        .into_iter()
        .filter_map(|(what, names): (&str, Vec<String>)| listed(what, &names))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

fn listed(what: &str, names: &[String]) -> Option<String> {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("{} {what}: {}{tail}", names.len(), names[..names.len() - more].join(", ")))
}

fn copy(variables: &Variables, found: &Named) -> Result<usize, String> {
    tch::no_grad(|| {
        let mut copied = 0;
        for variable in variables.iter() {
            if let Some(tensor) = found.get(&variable.name) {
                variable.tensor.shallow_clone().f_copy_(tensor).map_err(|e| e.to_string())?;
                copied += 1;
            }
        }
        Ok(copied)
    })
}

/// An error about tensors that do not come from a named file.
pub(super) fn misfit(backbone: &str, message: String) -> Error {
    Error::usage(format!("these weights are not {backbone}'s: {message}"))
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::super::init::Init;
    use super::*;

    fn zeros(shape: &[i64]) -> Tensor {
        Tensor::zeros(shape, (Kind::Float, Device::Cpu))
    }

    /// A network of one layer.
    fn small(classes: i64) -> Variables {
        let mut variables = Variables::new(Device::Cpu);
        let mut root = variables.root();
        drop(root.parameter("conv1.weight", &[2, 3], Init::Zeros).unwrap());
        drop(root.buffer("bn1.running_mean", &[2], Init::Zeros).unwrap());
        drop(root.parameter("fc.weight", &[classes, 2], Init::Zeros).unwrap());
        drop(root.parameter("fc.bias", &[classes], Init::Zeros).unwrap());
        variables
    }

    fn file(tensors: &[(&str, &[i64])]) -> Vec<(String, Tensor)> {
        tensors.iter().map(|&(name, shape)| (name.to_owned(), zeros(shape) + 1.0)).collect()
    }

    const BODY: [(&str, &[i64]); 3] = [("conv1.weight", &[2, 3]), ("bn1.running_mean", &[2]), ("bn1.num_batches_tracked", &[])];

    #[test]
    fn the_head_stays_where_the_classes_differ_and_the_counter_is_ignored() {
        let variables = small(4);
        let tensors = file(&[BODY.as_slice(), &[("fc.weight", &[1000, 2]), ("fc.bias", &[1000])]].concat());
        let report = load_pretrained(&variables, "fc", &tensors).unwrap();
        let expected = LoadReport { loaded: 2, head_replaced: true, head_classes: Some(1000), positions_resampled: None };
        assert_eq!(report, expected);
        assert_eq!(report.to_string(), "2 tensors loaded; the classifier is a new one, the file's is for 1000 classes");
        let sums: Vec<f64> = variables.iter().map(|variable| variable.tensor.sum(Kind::Double).double_value(&[])).collect();
        assert_eq!(sums, [6.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn a_head_of_the_same_classes_is_loaded_and_a_missing_one_is_as_another() {
        let with_head = file(&[BODY.as_slice(), &[("fc.weight", &[4, 2]), ("fc.bias", &[4])]].concat());
        let expected = LoadReport { loaded: 4, head_classes: Some(4), ..Default::default() };
        assert_eq!(load_pretrained(&small(4), "fc", &with_head).unwrap(), expected);
        assert!(load_pretrained(&small(4), "fc", &file(&BODY)).unwrap().head_replaced);
    }

    #[test]
    fn one_message_names_all_that_does_not_fit_and_nothing_is_copied() {
        let variables = small(4);
        let tensors = file(&[("conv1.weight", &[2, 5]), ("fc.weight", &[4, 2]), ("fc.bias", &[4]), ("layer1.weight", &[1])]);
        let message = load_exact(&variables, &tensors).unwrap_err();
        assert_eq!(
            message,
            "1 missing: `bn1.running_mean`; 1 unexpected: `layer1.weight`; 1 of another shape: `conv1.weight` is [2, 5], not [2, 3]"
        );
        assert!(variables.iter().all(|variable| variable.tensor.abs().max().double_value(&[]) == 0.0));
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        assert_eq!(listed("missing", &names).unwrap(), "7 missing: 0, 1, 2, 3, 4 and 2 more");
        assert_eq!(listed("missing", &[]), None);
    }
}
