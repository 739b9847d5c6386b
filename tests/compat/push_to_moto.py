"""`push` into an S3 that nobody here wrote, moto's, read back by boto3, which nobody here wrote either: part of `make compat`.

    .compat/bin/python tests/compat/push_to_moto.py target/debug/bioscan-hpc
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

FILES = {"BIOSCAN_Insect_Dataset_metadata.tsv": b"sampleid\torder\n1\tDiptera\n", "empty": b"", "images 256/\u00e9+#?%&=.zip": os.urandom(70_000),
         "large.hdf5": os.urandom(12 << 20)}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret", "AWS_REGION": "ca-central-1"}


def push(binary, folder, endpoint, *more):
    """What a push answers, as JSON."""
    command = [binary, "-q", "push", folder, "--to", "s3://insects/v1", "--endpoint", endpoint, "--part-mib", "5", "--json", *more]
    return json.loads(subprocess.run(command, check=True, env=os.environ | KEYS, stdout=subprocess.PIPE).stdout)


def main():
    binary = Path(sys.argv[1]).resolve()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    store = boto3.client("s3", endpoint_url=endpoint, region_name="ca-central-1", aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
                         aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"])
    store.create_bucket(Bucket="insects", CreateBucketConfiguration={"LocationConstraint": "ca-central-1"})
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "dataset"
        for name, data in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

        def outcomes():
            return {file["name"]: file["outcome"] for file in push(binary, folder, endpoint)}

        assert outcomes() == dict.fromkeys(FILES, {"sent": "hash"})
        for name, data in FILES.items():
            there = store.get_object(Bucket="insects", Key=f"v1/{name}")
            assert there["Body"].read() == data, name
            assert len(there["Metadata"]["sha256"]) == 64
        assert store.head_object(Bucket="insects", Key="v1/large.hdf5")["ETag"].endswith('-3"')
        assert outcomes() == dict.fromkeys(FILES, {"there": "hash"})

        # Going on with an upload that broke off is left to tests/push.rs: moto 5.2.5 calls its list of parts ListPartsResponse, where Amazon's
        # is a ListPartsResult, and no client of the latter reads it.
        (folder / "large.hdf5").write_bytes(os.urandom(11 << 20))
        assert outcomes() == dict.fromkeys(FILES, {"there": "hash"}) | {"large.hdf5": {"sent": "hash"}}
        there = store.get_object(Bucket="insects", Key="v1/large.hdf5")["Body"].read()
        assert there == (folder / "large.hdf5").read_bytes()
        assert not (folder / ".push.jsonl").exists()
    server.stop()
    print(f"{len(FILES)} files pushed to moto and read back by boto3; what changed was sent again, and nothing else")


if __name__ == "__main__":
    main()
