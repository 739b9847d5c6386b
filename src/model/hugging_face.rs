//! A trained network → the `config.json` beside its `model.safetensors` from which timm builds it again:
//! `timm.create_model("local-dir:FOLDER", pretrained=True)`.

use serde_json::{Value, json};

use super::Recognised;
use crate::config::Crop;
use crate::error::{Error, Result};

/// What five halvings divide a side by.
const HALVED: u32 = 32;

/// The card of a network of `recognised` with `features` inputs to its classifier, whose outputs are `classes`, in their order, where
/// their names are known; it was shown images as `crop` says.
///
/// # Errors
/// An internal one for a network without a classifier, or with another number of outputs than names.
pub fn config_json(recognised: &Recognised, features: usize, classes: Option<&[String]>, crop: &Crop) -> Result<Value> {
    let spec = recognised.spec;
    let outputs = recognised.classes.ok_or_else(|| Error::usage("these weights have no classifier to export"))?;
    let convolutional = spec.head == "fc";
    let pool = if convolutional { "avg" } else { "token" };
    let mut arguments = json!({"num_classes": outputs, "in_chans": 3, "global_pool": pool});
    if !convolutional {
        arguments["img_size"] = json!([crop.size, crop.size]);
    }
    // What is left of a picture of the usual size before it is pooled; timm has it so, and nothing for other sizes.
    let is_usual = convolutional && crop.size as usize == spec.default_image_size;
    let pooled = if is_usual { json!([crop.size / HALVED, crop.size / HALVED]) } else { Value::Null };
    let mut card = json!({
        "architecture": spec.name,
        "num_classes": outputs,
        "num_features": features,
        "global_pool": pool,
        "model_args": arguments,
        "pretrained_cfg": {
            // Tensors under timm's own names, whatever timm's own file of this network is.
            "custom_load": false,
            "input_size": [3, crop.size, crop.size],
            "fixed_input_size": !convolutional,
            "interpolation": "bilinear",
            "crop_pct": crop_share(crop),
            "crop_mode": "center",
            // As in the original recipe: pixels in 0..1, no mean taken off.
            "mean": [0.0, 0.0, 0.0],
            "std": [1.0, 1.0, 1.0],
            "num_classes": outputs,
            "pool_size": pooled,
            "first_conv": spec.first_conv,
            "classifier": spec.head,
        },
    });
    if let Some(classes) = classes {
        if classes.len() != outputs {
            return Err(Error::usage(format!("there are {} class names, and the network has {outputs} outputs", classes.len())));
        }
        card["label_names"] = json!(classes);
    }
    Ok(card)
}

/// The crop's share of the resize. timm resizes to the floor of size / share, which rounding must not make a pixel less.
fn crop_share(crop: &Crop) -> f64 {
    let (size, resize) = (f64::from(crop.size), f64::from(crop.resize));
    let share = size / resize;
    if (size / share).floor() < resize { share.next_down() } else { share }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Spec;

    #[test]
    fn timm_finds_the_very_resize_in_the_share() {
        for (size, resize) in (32..300).flat_map(|size| (size..=600).map(move |resize| (size, resize))) {
            let share = crop_share(&Crop { resize, size, augment: true });
            assert_eq!((f64::from(size) / share).floor(), f64::from(resize), "{size} of {resize}");
        }
        // 32 / (32 / 93) is 92.99999999999999.
        assert!(crop_share(&Crop { resize: 93, size: 32, augment: true }) < 32.0 / 93.0);
    }

    #[test]
    fn a_card_as_timm_reads_it() {
        let found = Recognised { spec: Spec::find("vit_tiny_patch16_224").unwrap(), classes: Some(2), image_size: 64 };
        let classes = ["Diptera", "Hemiptera"].map(String::from);
        let card = config_json(&found, 192, Some(&classes), &Crop { resize: 80, size: 64, augment: true }).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&card).unwrap());
        let error = config_json(&found, 192, Some(&classes[..1]), &Crop::default()).unwrap_err();
        assert_eq!(error.to_string(), "there are 1 class names, and the network has 2 outputs");
        let headless = Recognised { classes: None, ..found };
        assert!(config_json(&headless, 192, None, &Crop::default()).is_err());
    }
}
