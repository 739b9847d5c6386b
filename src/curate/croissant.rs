//! a dataset's description and files → Croissant 1.1, the JSON-LD by which search engines and loaders know it.
//!
//! Vocabulary: MLCommons, *Croissant Format Specification 1.1*. Each file is a `FileObject` with its SHA-256; the images in an archive are
//! a `FileSet`; the columns of the metadata are the fields of one record set.

use serde_json::{Value, json};

use crate::curate::about::About;
use crate::curate::files::DatasetFile;
use crate::dataset::schema::Kind;

/// The document. `columns` are those of the table `metadata`, which is one of `files`; `synthetic` says so in its description.
#[must_use]
pub fn croissant(about: &About, metadata: &str, columns: &[String], files: &[DatasetFile], synthetic: bool) -> Value {
    let made_up = if synthetic { "SYNTHETIC: at least one record was made up by a program. " } else { "" };
    let objects = files.iter().map(file_object);
    let sets = files.iter().filter_map(file_set);
    let creators: Vec<Value> = about.creators.iter().map(|name| json!({"@type": "sc:Organization", "name": name})).collect();
    json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": about.name,
        "description": format!("{made_up}{}", about.description),
        "url": about.url,
        "license": about.license_url,
        "creditText": about.attribution,
        "creator": creators,
        "citeAs": about.citation,
        "version": about.version,
        "datePublished": about.published,
        "distribution": objects.chain(sets).collect::<Vec<_>>(),
        "recordSet": [{
            "@type": "cr:RecordSet",
            "@id": "records",
            "name": "records",
            "description": "One record a specimen.",
            "field": columns.iter().map(|column| field(metadata, column)).collect::<Vec<_>>(),
        }],
    })
}

/// The context that the specification gives; loaders compare it word by word.
fn context() -> Value {
    json!({
        "@language": "en",
        "@vocab": "https://schema.org/",
        "arrayShape": "cr:arrayShape",
        "citeAs": "cr:citeAs",
        "column": "cr:column",
        "conformsTo": "dct:conformsTo",
        "containedIn": "cr:containedIn",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "description": {"@container": "@language"},
        "equivalentProperty": "cr:equivalentProperty",
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "extract": "cr:extract",
        "field": "cr:field",
        "fileObject": "cr:fileObject",
        "fileProperty": "cr:fileProperty",
        "fileSet": "cr:fileSet",
        "format": "cr:format",
        "includes": "cr:includes",
        "isArray": "cr:isArray",
        "isLiveDataset": "cr:isLiveDataset",
        "jsonPath": "cr:jsonPath",
        "key": "cr:key",
        "md5": "cr:md5",
        "name": {"@container": "@language"},
        "parentField": "cr:parentField",
        "path": "cr:path",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "recordSet": "cr:recordSet",
        "references": "cr:references",
        "regex": "cr:regex",
        "repeated": "cr:repeated",
        "replace": "cr:replace",
        "samplingRate": "cr:samplingRate",
        "sc": "https://schema.org/",
        "separator": "cr:separator",
        "source": "cr:source",
        "subField": "cr:subField",
        "transform": "cr:transform"
    })
}

fn encoding(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("tsv") => "text/tab-separated-values",
        Some("csv") => "text/csv",
        Some("json" | "jsonld") => "application/json",
        Some("parquet") => "application/x-parquet",
        Some("zip") => "application/zip",
        Some("tar") => "application/x-tar",
        Some("hdf5" | "h5") => "application/x-hdf5",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}

/// A name as an `@id`: loaders refuse one with white space.
fn id(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join("_")
}

fn file_object(file: &DatasetFile) -> Value {
    json!({
        "@type": "cr:FileObject",
        "@id": id(&file.name),
        "name": file.name,
        "contentUrl": file.name,
        "contentSize": format!("{} B", file.bytes),
        "encodingFormat": encoding(&file.name),
        "sha256": file.sha256,
    })
}

/// The images in an archive.
fn file_set(file: &DatasetFile) -> Option<Value> {
    matches!(encoding(&file.name), "application/zip" | "application/x-tar").then(|| {
        json!({
            "@type": "cr:FileSet",
            "@id": format!("images-of-{}", id(&file.name)),
            "name": format!("images of {}", file.name),
            "containedIn": {"@id": id(&file.name)},
            "encodingFormat": "image/jpeg",
            "includes": "**/*.jpg",
        })
    })
}

fn field(metadata: &str, column: &str) -> Value {
    // The published JSON-LD quotes its numbers, and an empty string is none.
    let is_json = encoding(metadata) == "application/json";
    let kind = match Kind::of(column) {
        Kind::Whole if !is_json => "sc:Integer",
        Kind::Fraction if !is_json => "sc:Float",
        _ => "sc:Text",
    };
    let extract = if is_json { json!({"jsonPath": format!("$[*][{}]", Value::from(column))}) } else { json!({"column": column}) };
    json!({
        "@type": "cr:Field",
        "@id": format!("records/{}", id(column)),
        "name": column,
        "dataType": kind,
        "source": {"fileObject": {"@id": id(metadata)}, "extract": extract},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_hash_and_every_column_its_field() {
        let file = |name: &str| DatasetFile { name: name.into(), bytes: 7, sha256: "ab".repeat(32) };
        let columns = ["processid".to_owned(), "coord-lat".to_owned()];
        let document = croissant(&About::bioscan_5m().unwrap(), "m.csv", &columns, &[file("m.csv"), file("images.zip")], false);
        let distribution = document["distribution"].as_array().unwrap();
        assert_eq!(distribution.len(), 3);
        assert_eq!(distribution[1]["sha256"], "ab".repeat(32));
        assert_eq!(distribution[2]["containedIn"]["@id"], "images.zip");
        let fields = document["recordSet"][0]["field"].as_array().unwrap();
        assert_eq!(
            (&fields[1]["dataType"], &fields[1]["source"]["extract"]["column"]),
            (&"sc:Float".into(), &"coord-lat".into())
        );
        assert_eq!(document["license"], "https://creativecommons.org/licenses/by/3.0/");
        assert!(!document["description"].as_str().unwrap().contains("SYNTHETIC"));
    }

    #[test]
    fn no_id_holds_white_space() {
        let file = |name: &str| DatasetFile { name: name.into(), bytes: 7, sha256: "ab".repeat(32) };
        let columns = ["weight, mg".to_owned()];
        let document =
            croissant(&About::bioscan_5m().unwrap(), "my m.csv", &columns, &[file("my m.csv"), file("images 256.zip")], false);
        let set = &document["distribution"][2];
        assert_eq!((&set["@id"], &set["containedIn"]["@id"]), (&"images-of-images_256.zip".into(), &"images_256.zip".into()));
        let field = &document["recordSet"][0]["field"][0];
        assert_eq!((&field["@id"], &field["name"]), (&"records/weight,_mg".into(), &columns[0].as_str().into()));
        assert_eq!(field["source"]["fileObject"]["@id"], document["distribution"][0]["@id"]);
        assert_eq!(document["distribution"][0]["contentUrl"], "my m.csv");
    }

    #[test]
    fn json_is_read_by_paths_and_made_up_data_says_so() {
        let file = DatasetFile { name: "m.jsonld".into(), bytes: 7, sha256: "ab".repeat(32) };
        let document = croissant(&About::bioscan_1m().unwrap(), "m.jsonld", &["coord-lat".to_owned()], &[file], true);
        let field = &document["recordSet"][0]["field"][0];
        assert_eq!(field["source"]["extract"], json!({"jsonPath": "$[*][\"coord-lat\"]"}));
        assert_eq!(field["dataType"], "sc:Text");
        assert!(document["description"].as_str().unwrap().starts_with("SYNTHETIC: "));
    }
}
