"""The metadata commands beside pandas, at full size: wall time and peak memory of each, as a Markdown table on stdout.

    .compat/bin/python tests/compat/metadata_speed.py target/release/bioscan-hpc results/metadata-speed [1m] [5m]

1m is the synthetic TSV of BIOSCAN-1M's size that `synth --full --metadata-only` writes; 5m a CSV of BIOSCAN-5M's size and columns that this
script makes, with random barcodes. Both are kept in the folder and made once. Each job is a process of its own, one after the other; pandas'
times hold its import, as ours hold our start. pandas reads all columns as text, as they are, and has no validation to compare with.
"""

import os
import random
import subprocess
import sys
import time
from hashlib import md5
from pathlib import Path

HEADER = ("processid,sampleid,taxon,phylum,class,order,family,subfamily,genus,species,dna_bin,dna_barcode,country,province_state,coord-lat,"
          "coord-lon,image_measurement_value,area_fraction,scale_factor,inferred_ranks,split,index_bioscan_1M_insect,chunk")
TAXA = ["Megaselia abdita,Arthropoda,Insecta,Diptera,Phoridae,Metopininae,Megaselia,Megaselia abdita",
        "Sciaridae,Arthropoda,Insecta,Diptera,Sciaridae,,,", "Megaselia,Arthropoda,Insecta,Diptera,Phoridae,Metopininae,Megaselia,",
        "Braconidae,Arthropoda,Insecta,Hymenoptera,Braconidae,Agathidinae,,", "Hemiptera,Arthropoda,Insecta,Hemiptera,,,,",
        "Carabidae,Arthropoda,Insecta,Coleoptera,Carabidae,,,"]
ROWS_5M = 5_150_850
BASES = bytes(b"ACGT"[byte & 3] for byte in range(256))
READ = "import pandas; table = pandas.read_csv({table!r}, sep={separator!r}, dtype=str, keep_default_na=False, na_filter=False)"
COUNT = READ + "\nfor column in table.columns:\n    if table[column].nunique() < 10_000: table[column].value_counts()\nprint(table.shape)"
# job → ours, pandas'
JOBS = {
    "`stats`": (["metadata", "stats", "{table}"], COUNT),
    "`validate`": (["metadata", "validate", "{table}"], None),
    "`convert` to JSON-LD": (["metadata", "convert", "{table}", "{out}.jsonld"], READ + "\ntable.to_json({out!r} + '.json', orient='records', indent=4)"),
    "`convert` to Parquet": (["metadata", "convert", "{table}", "{out}.parquet"], READ + "\ntable.to_parquet({out!r} + '.pd.parquet')"),
}


def table_1m(binary, folder):
    found = sorted((folder / "1m").glob("**/*metadata.tsv"))
    if not found:
        subprocess.run([binary, "-q", "synth", "--full", "--metadata-only", "--out", folder / "1m"], check=True, stdout=subprocess.DEVNULL)
        found = sorted((folder / "1m").glob("**/*metadata.tsv"))
    return found[0]


def bin_of(number):
    """BOLD:AAA0000 and on: three letters and four digits."""
    letters, digits = divmod(number, 10_000)
    return f"BOLD:A{chr(65 + letters // 26)}{chr(65 + letters % 26)}{digits:04}"


def table_5m(folder):
    path = folder / "5m.csv"
    if path.exists():
        return path
    draw = random.Random(5)
    with open(folder / "5m.csv.part", "w") as out:
        out.write(HEADER + "\n")
        for number in range(ROWS_5M):
            barcode = draw.randbytes(658).translate(BASES).decode()
            digits = md5(f"SYN{number:07}-23".encode()).hexdigest()[:2]
            out.write(f"SYN{number:07}-23,CBG-A{number:07}-B02,{TAXA[number % 6]},{bin_of(number % 320_000)},{barcode},Costa Rica,Guanacaste,"
                      f"10.327,-84.08,{5_000 + number % 9_000},0.{500 + number % 500},0.{7_000 + number % 999},0,pretrain,,{digits}\n")
    (folder / "5m.csv.part").rename(path)
    return path


def run(command):
    """Seconds and MiB of one process; None where it failed."""
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # `validate` ends with 5 where it finds faults.
    if child.returncode not in (0, 5):
        print(f"{command[:4]} ended with {child.returncode}: {errors.decode()[-300:]}", file=sys.stderr)
        return None
    return time.monotonic() - started, usage.ru_maxrss / 1024


def cell(measured):
    return f"{measured[0]:.1f} s, {measured[1]:,.0f} MiB" if measured else "failed"


def main():
    import pandas

    binary, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    print(f"| table | job | ours | pandas {pandas.__version__} |\n|---|---|---|---|")
    for name in sys.argv[3:] or ["1m", "5m"]:
        table = table_1m(binary, folder) if name == "1m" else table_5m(folder)
        # Read once, so that the first job does not pay the disk for all.
        size = sum(len(block) for block in iter(lambda file=open(table, "rb"): file.read(1 << 24), b""))
        for job, (ours, theirs) in JOBS.items():
            out = str(folder / f"{name}-out")
            places = {"table": str(table), "out": out, "separator": "\t" if name == "1m" else ","}
            measured = run([binary, "-q", *(argument.format(**places) for argument in ours)])
            peer = cell(run([sys.executable, "-c", theirs.format(**places)])) if theirs else ""
            print(f"| {name}, {size / 1e6:,.0f} MB | {job} | {cell(measured)} | {peer} |", flush=True)
            for made in folder.glob(f"{name}-out*"):
                made.unlink()


if __name__ == "__main__":
    main()
