"""One peer of the benchmark, as a long-lived process: `peers.py METHOD`.

Its first line on stdout is {"versions": {...}}. Then each line on stdin is a request {"files": [...], "repetitions": N, "out": path}, and
each is answered by {"cpu_s": ..., "wall_s": ...}, or {"error": ...}. The CPU time is user + system of this process and of its children.
Starting, importing and reading the files are not counted; every method works from bytes in memory and on one thread, but for `convert`,
which is the original's command as it stands.
"""

import io
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HEIGHT = 256
QUALITY = 75


def imagemagick():
    """The real program: a wrapper script of the same name would be charged to it."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = shutil.which("convert", path=folder)
        if path:
            with open(path, "rb") as file:
                if file.read(4) == b"\x7fELF":
                    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
                    return path, {"ImageMagick": version.split()[2]}
    raise RuntimeError("no ImageMagick on the PATH: run .ci/setup.sh bench")


def each(work):
    """A method that takes one image at a time: work(path, jpeg bytes)."""

    def run(request, images):
        for _ in range(request["repetitions"]):
            for path, jpeg in images:
                work(path, jpeg)

    return run


def smaller(width, height):
    return max(1, (2 * width * HEIGHT + height) // (2 * height)), HEIGHT


def convert():
    """What BIOSCAN-1M's own script does for each image: a check by PIL, then ImageMagick through a shell, from file to file."""
    from PIL import Image, __version__

    program, versions = imagemagick()
    out = shlex.quote(os.path.join(tempfile.mkdtemp(prefix="bioscan-bench-"), "small.jpg"))

    def work(path, _):
        with Image.open(path) as image:
            image.verify()
        if os.system(f"{shlex.quote(program)} {shlex.quote(path)} -resize x{HEIGHT} {out}") != 0:
            raise RuntimeError(f"convert failed on {path}")

    return each(work), versions | {"Pillow": __version__}


def convert_pixels():
    """ImageMagick's resized pixels before any JPEG: one PPM an image in the folder `out`, numbered as the files are."""
    program, versions = imagemagick()

    def run(request, images):
        for number, (path, _) in enumerate(images):
            out = os.path.join(request["out"], f"{number}.ppm")
            subprocess.run([program, path, "-resize", f"x{HEIGHT}", "-depth", "8", out], check=True)

    return run, versions


def pil(draft):
    from PIL import Image, __version__

    def work(_, jpeg):
        image = Image.open(io.BytesIO(jpeg))
        size = smaller(*image.size)
        if draft:
            image.draft("RGB", (2 * size[0], 2 * size[1]))
        out = io.BytesIO()
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=QUALITY)

    return each(work), {"Pillow": __version__}


def vips_thumbnail():
    os.environ["VIPS_CONCURRENCY"] = "1"
    import pyvips

    # Or else it would answer the second time from memory.
    pyvips.cache_set_max(0)
    widest = 10_000_000

    def work(_, jpeg):
        image = pyvips.Image.thumbnail_buffer(jpeg, widest, height=HEIGHT)
        image.jpegsave_buffer(Q=QUALITY)

    version = ".".join(str(pyvips.version(part)) for part in range(3))
    return each(work), {"pyvips": pyvips.__version__, "libvips": version}


def opencv(reduced):
    import cv2

    cv2.setNumThreads(1)
    import numpy

    flag = cv2.IMREAD_REDUCED_COLOR_4 if reduced else cv2.IMREAD_COLOR

    def work(_, jpeg):
        image = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), flag)
        height, width = image.shape[:2]
        small = cv2.resize(image, smaller(width, height), interpolation=cv2.INTER_AREA)
        cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])

    return each(work), {"OpenCV": cv2.__version__}


def detr():
    """The original's crop: Hugging Face's DETR-ResNet-50, one image at a time and with gradients kept, then the box by 1.4 and a JPEG.

    The published weights cannot be had without its authors; random ones take the same time.
    """
    import torch
    import transformers
    from PIL import Image, __version__

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.DetrConfig(use_timm_backbone=True, backbone="resnet50", use_pretrained_backbone=False, num_labels=1)
    model = transformers.DetrForObjectDetection(config).eval()
    processor = transformers.DetrImageProcessor()

    def work(_, jpeg):
        image = Image.open(io.BytesIO(jpeg))
        out = model(processor(images=image, return_tensors="pt")["pixel_values"])
        best = out.logits.softmax(-1)[0, :, 0].argmax()
        x, y, w, h = out.pred_boxes[0, best].tolist()
        x, y, w, h = x * image.width, y * image.height, w * image.width, h * image.height
        more = 0.4 * max(w, h)
        box = (int(x - (w + more) / 2), int(y - (h + more) / 2), int(x + (w + more) / 2), int(y + (h + more) / 2))
        # Beyond the edge Pillow fills with black, the original with another colour: the same work.
        image.crop(box).save(io.BytesIO(), "JPEG")

    return each(work), {"PyTorch": torch.__version__, "transformers": transformers.__version__, "Pillow": __version__}


def hdf5():
    """The published layout: a group, in it one uint8 dataset an image; `repetitions` images, the given files over and over."""
    import h5py
    import numpy

    def run(request, images):
        with h5py.File(request["out"], "w") as file:
            group = file.create_group("bioscan_dataset")
            for number in range(request["repetitions"]):
                _, jpeg = images[number % len(images)]
                group.create_dataset(f"{number:08}.jpg", data=numpy.frombuffer(jpeg, numpy.uint8))

    return run, {"h5py": f"{h5py.__version__} (with HDF5 {h5py.version.hdf5_version})"}


def training(method):
    import training_peers

    return getattr(training_peers, method)()


METHODS = {
    "convert": convert,
    "convert_pixels": convert_pixels,
    "pil_full": lambda: pil(draft=False),
    "pil_draft": lambda: pil(draft=True),
    "vips_thumbnail": vips_thumbnail,
    "opencv_reduced": lambda: opencv(reduced=True),
    "opencv_full": lambda: opencv(reduced=False),
    "detr": detr,
    "hdf5": hdf5,
    "loader": lambda: training("loader"),
    "step": lambda: training("step"),
    "gpu_step": lambda: training("gpu_step"),
}


def cpu_seconds():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def answer(line):
    print(json.dumps(line), flush=True)


def main():
    try:
        run, versions = METHODS[sys.argv[1]]()
    except Exception as error:  # whatever it is, the table says it
        return answer({"error": f"{type(error).__name__}: {error}"})
    answer({"versions": versions})
    for line in sys.stdin:
        try:
            request = json.loads(line)
            images = []
            for path in request["files"]:
                with open(path, "rb") as file:
                    images.append((path, file.read()))
            cpu, wall = cpu_seconds(), time.perf_counter()
            run(request, images)
            answer({"cpu_s": cpu_seconds() - cpu, "wall_s": time.perf_counter() - wall})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
