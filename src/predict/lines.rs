//! an image's probabilities → its line of CSV and its line of JSON.

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::store::rows::csv_line;

/// What the network says of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its name.
    pub image: String,
    /// Its true class, where that is known.
    pub truth: Option<String>,
    /// The likeliest classes and their probabilities, falling.
    pub likeliest: Vec<(usize, f32)>,
}

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// Names by class.
    pub classes: &'a [String],
    /// How many classes are named.
    pub top: usize,
    /// Whether there is a column for the truth.
    pub with_truth: bool,
}

impl Writing<'_> {
    /// The table's first line: `image,top1,p1,top2,p2,…`, with `truth` behind the image where it is asked for.
    pub fn header(&self) -> Result<String> {
        let first = ["image"].into_iter().chain(self.with_truth.then_some("truth")).map(str::to_owned);
        csv_line(first.chain((1..=self.top).flat_map(|place| [format!("top{place}"), format!("p{place}")])))
    }

    /// A line of the table.
    pub fn csv(&self, answer: &Answer) -> Result<String> {
        let truth = self.with_truth.then(|| answer.truth.clone().unwrap_or_default());
        let said = answer.likeliest.iter().flat_map(|&(class, p)| [self.name(class).to_owned(), written(p)]);
        csv_line([answer.image.clone()].into_iter().chain(truth).chain(said))
    }

    /// A line of JSON.
    pub fn json(&self, answer: &Answer) -> String {
        let mut line = Map::from_iter([("image".to_owned(), json!(answer.image))]);
        if self.with_truth {
            line.insert("truth".to_owned(), json!(answer.truth));
        }
        // The same digits as in the table.
        let number = |p: f32| written(p).parse::<f64>().unwrap_or_default();
        let said = answer.likeliest.iter().map(|&(class, p)| json!({"label": self.name(class), "p": number(p)}));
        line.insert("top".to_owned(), said.collect());
        format!("{}\n", Value::Object(line))
    }

    fn name(&self, class: usize) -> &str {
        self.classes.get(class).map_or("", String::as_str)
    }
}

fn written(p: f32) -> String {
    format!("{p:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_both_forms() {
        let classes = ["Diptera", "not, sure"].map(String::from);
        let answer = Answer { image: "a.jpg".into(), truth: Some("Diptera".into()), likeliest: vec![(1, 0.75), (0, 0.25)] };
        let plain = Writing { classes: &classes, top: 2, with_truth: false };
        assert_eq!(plain.header().unwrap(), "image,top1,p1,top2,p2\n");
        assert_eq!(plain.csv(&answer).unwrap(), "a.jpg,\"not, sure\",0.750000,Diptera,0.250000\n");
        let with_truth = Writing { with_truth: true, ..plain };
        assert_eq!(with_truth.header().unwrap(), "image,truth,top1,p1,top2,p2\n");
        assert_eq!(
            with_truth.json(&answer),
            "{\"image\":\"a.jpg\",\"truth\":\"Diptera\",\"top\":[{\"label\":\"not, sure\",\"p\":0.75},{\"label\":\"Diptera\",\"p\":0.25}]}\n"
        );
        let unknown = Answer { truth: None, ..answer };
        assert!(with_truth.csv(&unknown).unwrap().starts_with("a.jpg,,") && with_truth.json(&unknown).contains("\"truth\":null"));
    }
}
