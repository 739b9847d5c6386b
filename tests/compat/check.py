"""Clients that nobody here wrote, on what bioscan-hpc writes: `make compat`.

    .compat/bin/python tests/compat/check.py target/release/bioscan-hpc            compares with the golden list
    .compat/bin/python tests/compat/check.py target/release/bioscan-hpc --write    makes the golden list anew

- bioscan-dataset, the PyTorch datasets of BIOSCAN-1M and BIOSCAN-5M, opens tables that `metadata convert` wrote and images that
  `preprocess` cropped and resized, every partition of both; what it reads is tests/fixtures/bioscan_dataset/golden.json, and
  tests/bioscan_dataset.rs reads the same with our code. Its checks of the MD5 of the real files are switched off; everything else is as
  installed.
- pandas reads the Parquet that `metadata convert` wrote.
- mlcroissant validates the documents that `metadata document` wrote, of tables in TSV, CSV and JSON-LD and of images in a ZIP, and reads
  their records.
"""

import json
import random
import subprocess
import sys
import tempfile
import zipfile
from hashlib import md5
from pathlib import Path

from PIL import Image, ImageDraw

FIXTURES = Path(__file__).parents[1] / "fixtures" / "bioscan_dataset"
TABLES = {"1m": "bioscan1m/BIOSCAN_Insect_Dataset_metadata.tsv",
          "5m": "bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv"}
SPLITS_5M = ["pretrain", "train", "val", "test", "key_unseen", "val_unseen", "test_unseen", "other_heldout"]
VERSIONS_1M = [f"{size}_{task}" for size in ("large", "medium", "small") for task in ("diptera_family", "insect_order")]
TAXA = [("Diptera", "Phoridae", "Metopininae", "Megaselia", "Megaselia abdita"), ("Diptera", "Sciaridae", "", "", ""),
        ("Hymenoptera", "Braconidae", "Agathidinae", "", ""), ("Hemiptera", "", "", "", ""),
        ("Diptera", "Phoridae", "Metopininae", "Megaselia", ""), ("Coleoptera", "Carabidae", "", "NA", ""),
        ("Hymenoptera", "Diapriidae", "", "Trichopria", "")]


def rows_1m():
    """40 records of BIOSCAN-1M, unknown taxa as `not_classified`."""
    draw = random.Random(1)
    for number in range(40):
        order, family, subfamily, genus, species = (taxon or "not_classified" for taxon in draw.choice(TAXA))
        row = {"sampleid": f"BIOUG{number:05}-A01", "processid": f"P{number:04}-21", "uri": f"BOLD:AAA{number % 7:04}", "name": order,
               "phylum": "Arthropoda", "class": "Insecta", "order": order, "family": family, "subfamily": subfamily,
               "tribe": "not_classified", "genus": genus, "species": species, "subspecies": "not_classified",
               "nucraw": "".join(draw.choice("ACGTN") for _ in range(40)), "image_file": f"BIOUG{number:05}-A01.jpg"}
        row |= {version: draw.choice(["train", "validation", "test", "no_split"]) for version in VERSIONS_1M}
        row |= {"chunk_number": str(number % 3 + 1), "copyright_license": "CC BY 3.0", "copyright_holder": 'CBG, "Guelph"',
                "copyright_institution": "", "copyright_contact": "", "photographer": "", "author": ""}
        yield row


def rows_5m():
    """64 records of BIOSCAN-5M, eight of each partition, unknown taxa empty."""
    draw = random.Random(5)
    for number in range(64):
        order, family, subfamily, genus, species = draw.choice(TAXA)
        split, name = SPLITS_5M[number % 8], f"Q{number:04}-22"
        digits = {"pretrain": 2, "train": 1, "other_heldout": 1}.get(split, 0)
        yield {"processid": name, "sampleid": f"CBG-A{number:05}-B02", "taxon": species or genus or family or order,
               "phylum": "Arthropoda", "class": "Insecta", "order": order, "family": family, "subfamily": subfamily, "genus": genus,
               "species": species, "dna_bin": f"BOLD:AAB{number % 9:04}", "dna_barcode": "".join(draw.choice("ACGT") for _ in range(40)),
               "country": draw.choice(["Costa Rica", "Canada", ""]), "province_state": "", "coord-lat": "10.327", "coord-lon": "-84.08",
               "image_measurement_value": draw.choice(["8605", "12095.0", ""]), "area_fraction": "0.0703", "scale_factor": "0.7578",
               "inferred_ranks": "0", "split": split, "index_bioscan_1M_insect": "", "chunk": md5(name.encode()).hexdigest()[:digits]}


def photograph(path, number):
    """A specimen of a colour of its own on a light dish, so that a mistaken image is seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (320, 240), (225, 225, 220))
    ImageDraw.Draw(image).ellipse((110, 80, 210, 160), fill=colour(number))
    image.save(path, quality=95)


def colour(number):
    return number * 2 % 128, number * 7 % 128, 64


def place(name, row):
    """Where the package looks for the image of `row`."""
    if name == "1m":
        return Path(f"part{row['chunk_number']}", row["image_file"])
    return Path(*filter(None, (row["split"], row["chunk"])), row["processid"] + ".jpg")


def prepare(binary, root, name, rows):
    """The images of `rows`, cropped and resized by `preprocess`, where the package looks for them."""
    originals, output, images = root / f"originals{name}", root / f"prepared{name}", root / f"bioscan{name}/images/cropped_256"
    # BIOSCAN-5M's photographs lie by partition, and a partition is no chunk: they are prepared as one, and go to their places after.
    chunked = {index: place("1m", row) if name == "1m" else Path("part1", row["processid"] + ".jpg") for index, row in enumerate(rows)}
    for number, path in chunked.items():
        photograph(originals / path, number)
    job = root / f"{name}.toml"
    job.write_text(f"""name = "compat"
paths = {{ dataset = {json.dumps(str(originals))}, output = {json.dumps(str(output))} }}
preprocess = {{ detector = "contrast", formats = ["folder"] }}
grid = {{ sizes = ["small"], tasks = ["insect_order"], backbones = ["resnet50"], losses = ["CE"], seeds = [1] }}
""")
    subprocess.run([binary, "-q", "preprocess", job], check=True, stdout=subprocess.DEVNULL)
    package = output / "images/cropped_256"
    boxes = (package / "boxes.tsv").read_text().splitlines()
    assert len(boxes) == 1 + len(rows), f"{len(boxes) - 1} of {len(rows)} specimens were found"
    for number, row in enumerate(rows):
        target = images / place(name, row)
        target.parent.mkdir(parents=True, exist_ok=True)
        (package / "folder" / chunked[number]).rename(target)


def build(binary, root):
    """Both datasets under `root`, written by bioscan-hpc: their tables from JSON-LD, their images from photographs."""
    for name, rows in (("1m", list(rows_1m())), ("5m", list(rows_5m()))):
        table = root / TABLES[name]
        table.parent.mkdir(parents=True)
        source = root / f"{name}.jsonld"
        source.write_text(json.dumps(rows, indent=4))
        subprocess.run([binary, "-q", "metadata", "convert", source, table], check=True, stdout=subprocess.DEVNULL)
        prepare(binary, root, name, rows)


def read(root):
    """What the package reads: for each dataset and split the process ids with the index of their label and its text."""
    import bioscan_dataset

    class Ours1M(bioscan_dataset.BIOSCAN1M):
        meta = bioscan_dataset.BIOSCAN1M.meta | {"csv_md5": None}
        image_files = []

    class Ours5M(bioscan_dataset.BIOSCAN5M):
        meta = bioscan_dataset.BIOSCAN5M.meta | {"csv_md5": None}
        image_files = {split: [] for split in bioscan_dataset.BIOSCAN5M.image_files}

    def items(dataset, column, identity):
        numbers = {row[0]: index for index, row in enumerate(sorted(identity.items()))}
        found = []
        for position in range(len(dataset)):
            record = dataset.metadata.iloc[position]
            image, index = dataset[position]
            number = numbers[record["processid"]]
            middle = image.getpixel((image.width // 2, image.height // 2))
            assert min(image.size) == 256 and all(abs(got - drawn) <= 8 for got, drawn in zip(middle, colour(number))), \
                f"{record['processid']} shows another image"
            label = record[column]
            found.append([record["processid"], int(index), "" if index < 0 else str(label)])
        return found

    golden = {}
    ids = {row["processid"]: None for row in rows_1m()}
    for version in VERSIONS_1M:
        column = "family" if version.endswith("family") else "order"
        for split in ("train", "validation", "test", "no_split"):
            dataset = Ours1M(root, split=split, partitioning_version=version, modality="image", target_type=column)
            golden[f"1m/{version}/{split}"] = items(dataset, column, ids)
    ids = {row["processid"]: None for row in rows_5m()}
    for split in SPLITS_5M + ["seen", "unseen", "all", "train+val"]:
        for column in ("order", "genus"):
            dataset = Ours5M(root, split=split, modality="image", target_type=column)
            golden[f"5m/{column}/{split}"] = items(dataset, column, ids)
    return golden


def parquet(binary, root):
    """The Parquet of both tables has their rows, in pandas' own reading."""
    import pandas

    for name, rows in (("1m", list(rows_1m())), ("5m", list(rows_5m()))):
        out = root / f"{name}.parquet"
        subprocess.run([binary, "-q", "metadata", "convert", root / TABLES[name], out], check=True, stdout=subprocess.DEVNULL)
        table = pandas.read_parquet(out)
        assert list(table.columns) == list(rows[0])
        for column in table.columns:
            for got, row in zip(table[column], rows):
                wanted = row[column]
                same = pandas.isna(got) if wanted == "" else got == (wanted if isinstance(got, str) else float(wanted))
                assert same, f"{name} {column}: {got!r} instead of {wanted!r}"


def croissant(binary, root):
    """mlcroissant finds nothing wrong with the document and reads the records by it."""
    import mlcroissant

    def check(name, folder, *files):
        subprocess.run([binary, "-q", "metadata", "document", "--dataset", f"bioscan-{name}", folder, *files], check=True,
                       stdout=subprocess.DEVNULL)
        dataset = mlcroissant.Dataset(str(folder / "croissant.json"))
        assert not dataset.metadata.ctx.issues.errors, dataset.metadata.ctx.issues.report()
        records = list(dataset.records("records"))
        rows = list(rows_1m() if name == "1m" else rows_5m())
        assert len(records) == len(rows)
        for column in ("processid", "order"):
            assert records[3][f"records/{column}"] == rows[3][column].encode()

    for name in ("1m", "5m"):
        check(name, root / f"bioscan{name}", Path(TABLES[name]).relative_to(f"bioscan{name}"))
        folder = root / f"json{name}"
        folder.mkdir()
        (folder / "metadata.jsonld").write_bytes((root / f"{name}.jsonld").read_bytes())
        images = root / f"bioscan{name}/images"
        with zipfile.ZipFile(folder / "cropped_256.zip", "w") as archive:
            for path in sorted(images.rglob("*.jpg")):
                archive.write(path, path.relative_to(images))
        check(name, folder, "metadata.jsonld", "cropped_256.zip")


def main():
    binary = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        build(binary, root)
        golden = read(root)
        parquet(binary, root)
        croissant(binary, root)
        text = json.dumps(golden, indent=None, separators=(",", ":")).replace("]],", "]],\n") + "\n"
        if "--write" in sys.argv:
            FIXTURES.mkdir(exist_ok=True)
            (FIXTURES / "golden.json").write_text(text)
            for name, path in TABLES.items():
                (FIXTURES / f"{name}{Path(path).suffix}").write_bytes((root / path).read_bytes())
        for name, path in TABLES.items():
            assert (FIXTURES / f"{name}{Path(path).suffix}").read_bytes() == (root / path).read_bytes(), f"the table {name} is another"
        assert (FIXTURES / "golden.json").read_text() == text, "the package reads something else than the golden list"
        print(f"{len(golden)} partitions, {sum(map(len, golden.values()))} records read by bioscan-dataset; Parquet and Croissant agree")


if __name__ == "__main__":
    main()
