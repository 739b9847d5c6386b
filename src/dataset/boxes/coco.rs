//! a COCO JSON of detections or annotations → boxes.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;

use crate::dataset::boxes::record::FARTHEST_EDGE;
use crate::dataset::boxes::{BoxRecord, Original};
use crate::error::{Error, IoContext, Result};

/// The part of the format that is looked at.
#[derive(Deserialize)]
struct Coco {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: i64,
    /// x, y, width, height in pixels, with fractions.
    bbox: [f64; 4],
    #[serde(default)]
    score: Option<f64>,
}

/// See [`super::for_each`]. Images may follow annotations, so both are held; what else the file has is skipped as it is read.
pub(super) fn for_each(path: &Path, mut visit: impl FnMut(BoxRecord) -> Result<()>) -> Result<()> {
    let file = File::open(path).at("open", path)?;
    let coco: Coco =
        serde_json::from_reader(BufReader::with_capacity(1 << 20, file)).map_err(|error| match error.io_error_kind() {
            Some(kind) => Error::Io { action: "read", path: path.to_owned(), source: kind.into() },
            None => Error::input(path, format!("not a COCO file: {error}")).with_help(
                "it needs `images` with id and file_name, and `annotations` with image_id and bbox = [x, y, width, height]",
            ),
        })?;
    let images: HashMap<i64, &Image> = coco.images.iter().map(|image| (image.id, image)).collect();
    for (index, annotation) in coco.annotations.iter().enumerate() {
        let wrong = |what: String| Error::input(path, format!("annotations[{index}]: {what}"));
        let image = images
            .get(&annotation.image_id)
            .ok_or_else(|| wrong(format!("`image_id` is {}, and no image has that id", annotation.image_id)))?;
        visit(record_of(image, annotation).map_err(wrong)?)?;
    }
    Ok(())
}

/// Edges are rounded to whole pixels, a half to the even one, as the crop tool does it.
fn record_of(image: &Image, annotation: &Annotation) -> Result<BoxRecord, String> {
    let [x, y, width, height] = annotation.bbox;
    let edge = |name, value: f64| {
        let possible = value.abs() <= FARTHEST_EDGE as f64;
        if possible {
            Ok(value.round_ties_even() as i64)
        } else {
            Err(format!("`bbox` has a {name} of {value}, beyond any picture"))
        }
    };
    let file = image.file_name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    if file.is_empty() {
        return Err(format!("the image with id {} has no file name", image.id));
    }
    let sized = image.width > 0 && image.height > 0;
    let record = BoxRecord {
        file,
        original: sized.then_some(Original { width: image.width, height: image.height }),
        x0: edge("left edge", x)?,
        y0: edge("upper edge", y)?,
        x1: edge("right edge", x + width)?,
        y1: edge("lower edge", y + height)?,
        score: annotation.score,
    };
    record.fault().map_or(Ok(record), |fault| Err(format!("`bbox` as x0, y0, x1, y1: {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::boxes::read;

    fn read_text(text: &str) -> Result<Vec<BoxRecord>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boxes.json");
        std::fs::write(&path, text).unwrap();
        Ok(read(&path)?.into_values().collect())
    }

    #[test]
    fn the_best_box_of_each_picture_is_read_whatever_else_the_file_has() {
        let found = read_text(
            r#"{"info": {"year": 2023}, "categories": [{"id": 1, "name": "insect"}],
                "annotations": [
                  {"id": 1, "image_id": 7, "bbox": [10.5, 20.5, 31.0, 40.0], "category_id": 1, "iscrowd": 0},
                  {"id": 2, "image_id": 7, "bbox": [0, 0, 30, 40], "area": 1200},
                  {"id": 3, "image_id": 8, "bbox": [1, 2, 3, 4], "score": 0.9},
                  {"id": 4, "image_id": 8, "bbox": [0, 0, 90, 90], "score": 0.2}],
                "images": [
                  {"id": 7, "file_name": "part1/a.jpg", "width": 1024, "height": 768},
                  {"id": 8, "file_name": "b.jpg"}]}"#,
        )
        .unwrap();
        // 10.5 and 20.5 go to the even neighbour; 41.5 to 42, 60.5 to 60.
        let original = Some(Original { width: 1024, height: 768 });
        assert_eq!(found[0], BoxRecord { file: "a.jpg".into(), original, x0: 10, y0: 20, x1: 42, y1: 60, score: None });
        assert_eq!(found[1], BoxRecord { file: "b.jpg".into(), original: None, x0: 1, y0: 2, x1: 4, y1: 6, score: Some(0.9) });
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line_or_its_annotation() {
        let refused = |text: &str| read_text(text).unwrap_err().to_string();
        assert!(refused("{\n\"images\": [],\n\"annotations\": [{}]}").contains("missing field `image_id` at line 3"));
        assert!(refused("[]").contains("not a COCO file"));
        let with = |bbox: &str, id: u32| {
            refused(&format!(
                r#"{{"images": [{{"id": 1, "file_name": "a.jpg"}}], "annotations": [{{"image_id": {id}, "bbox": {bbox}}}]}}"#
            ))
        };
        assert!(with("[0, 0, 1, 1]", 2).ends_with("annotations[0]: `image_id` is 2, and no image has that id"));
        assert!(with("[0, 0, 0.1, 1]", 1).contains("`x1` is 0, not more than `x0`, which is 0"));
        assert!(with("[0, 0, 1e300, 1]", 1).contains("right edge"));
        assert!(with("[0, 0, 1]", 1).contains("line 1"));
    }
}
