#!/usr/bin/env python3
"""timm, torchvision and torch.save on one side, `bioscan-hpc weights` and `predict` on the other. `make compat` runs it.

- Whatever they write is taken in, and whatever it gives out they build a network from: the logits are the same bits.
- The card we write says what timm's own says of the same network, key by key.
- Our network on an exported folder finds the probabilities that timm finds there, pictures prepared as the card tells timm.

    .compat/bin/python tests/compat/timm_weights.py target/release/bioscan-hpc
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

PROGRAM = sys.argv[1]
CLASSES = 16
# What our card leaves out, and why timm does not need it: where weights came from and under what licence, which ours have no part in; how
# timm's own weights want to be tested; what follows from the other keys.
LEFT_OUT = {"tag", "crop_border_pixels", "license", "origin_url", "paper_ids", "paper_name", "notes", "min_input_size",
            "test_input_size", "test_crop_pct", "test_pool_size"}
# timm's test_vit takes pictures of any size; ours takes the one it was made for.
FIXED = {"test_vit"}


def program(*arguments: object, code: int = 0) -> str:
    done = subprocess.run([PROGRAM, "-q", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def build(name: str, **arguments: object) -> torch.nn.Module:
    torch.manual_seed(1)
    return timm.create_model(name, pretrained=False, num_classes=CLASSES, **arguments).eval()


def forms(folder: pathlib.Path, model: torch.nn.Module) -> list[pathlib.Path]:
    """The weights as timm, torch.save and the original's training leave them."""
    state = model.state_dict()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    checkpoint = {"epoch": 7, "model": state, "optimizer": optimizer.state_dict()}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "timm.safetensors")
    torch.save(state, folder / "state.pth")
    torch.save(checkpoint, folder / "best_acc.tar")
    torch.save(checkpoint, folder / "before-1.6.tar", _use_new_zipfile_serialization=False)
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, folder / "parallel.pth")
    return [folder / name for name in ("timm.safetensors", "state.pth", "best_acc.tar", "before-1.6.tar", "parallel.pth")]


def same_logits(ours: torch.nn.Module, theirs: torch.nn.Module, side: int) -> None:
    images = torch.rand(2, 3, side, side)
    with torch.no_grad():
        assert torch.equal(ours.eval()(images), theirs.eval()(images))


def same_card(folder: pathlib.Path, model: torch.nn.Module, names: list[str]) -> None:
    """timm's own export of `model`, told the preprocessing that our card says, against our card."""
    ours = json.loads((folder / "config.json").read_text())
    shown = {key: ours["pretrained_cfg"][key] for key in ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")}
    save_for_hf(model, folder / "timm", model_config={"label_names": names}, data_config=shown, safe_serialization=True)
    theirs = json.loads((folder / "timm" / "config.json").read_text())
    ours_of, theirs_of = ours.pop("pretrained_cfg"), theirs.pop("pretrained_cfg")
    assert ours == theirs, f"\nours   {ours}\ntimm's {theirs}"
    if ours["architecture"] in FIXED:
        theirs_of["fixed_input_size"] = True
    extra = {key: value for key, value in ours_of.items() if value is not None and key not in theirs_of}
    missing = {key: value for key, value in theirs_of.items() if key not in ours_of and key not in LEFT_OUT}
    other = {key: (ours_of[key], theirs_of[key]) for key in ours_of.keys() & theirs_of.keys() if ours_of[key] != theirs_of[key]}
    assert not (extra or missing or other), f"only ours {extra}, only timm's {missing}, ours against timm's {other}"


def same_probabilities(exported: pathlib.Path, model: torch.nn.Module, folder: pathlib.Path) -> float:
    """The largest difference between our probabilities and timm's on pictures, prepared by each as the card says."""
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model), is_training=False)
    resize = next(step for step in transform.transforms if isinstance(step, torchvision.transforms.Resize)).size
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    # Uniform blocks, and already of the size that is resized to: no decoder and no filter can differ. What a resize does is tested elsewhere.
    for number in range(3):
        draw = torch.Generator().manual_seed(number)
        blocks = torch.randint(40, 216, (resize // 16 + 1, resize // 16 + 1, 3), generator=draw, dtype=torch.uint8)
        pixels = blocks.repeat_interleave(16, 0).repeat_interleave(16, 1)[:resize, :resize]
        Image.fromarray(pixels.contiguous().numpy()).save(pictures / f"{number}.jpg", quality=100, subsampling=0)
    lines = [json.loads(line) for line in program("predict", exported, pictures, "--device", "cpu", "--json", "--top", CLASSES).splitlines()]
    assert len(lines) == 3, lines
    largest = 0.0
    for line in lines:
        with torch.no_grad():
            theirs = model(transform(Image.open(pictures / line["image"]).convert("RGB"))[None]).softmax(-1)[0]
        ours = {said["label"]: said["p"] for said in line["top"]}
        largest = max([largest] + [abs(ours[f"class {index}"] - float(p)) for index, p in enumerate(theirs)])
    assert largest < 2e-5, largest
    return largest


def round_trip(root: pathlib.Path, name: str, side: int, only: set[str] = frozenset(), **arguments: object) -> None:
    folder = root / name
    folder.mkdir()
    model = build(name, **arguments)
    names = [f"class {index}" for index in range(CLASSES)]
    labels = folder / "labels.txt"
    labels.write_text("".join(f"{name}\n" for name in names))
    paths = [path for path in forms(folder, model) if not only or path.name in only]
    largest = 0.0
    for path in paths:
        found = json.loads(program("weights", "inspect", path, "--json"))
        assert (found["backbone"], found["classes"], found["image_size"]) == (name, CLASSES, side), found
        imported = pathlib.Path(program("weights", "import", path, "--out", folder / f"in-{path.stem}").strip())
        again = build(name, **arguments)
        again.load_state_dict(load_file(imported), strict=False)
        same_logits(again, model, side)
        exported = folder / f"out-{path.stem}"
        program("weights", "export", path, "--classes", labels, "--out", exported)
        theirs = timm.create_model(f"local-dir:{exported}", pretrained=True).eval()
        same_logits(theirs, model, side)
        same_card(exported, model, names)
        largest = max(largest, same_probabilities(exported, theirs, folder))
    print(f"{name}: {len(paths)} forms in, safetensors and config.json out, equal logits, timm's card; probabilities {largest:.1e} apart")


def main() -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        round_trip(root, "test_resnet", 160)
        round_trip(root, "test_vit", 160)
        round_trip(root, "resnet18", 224)
        round_trip(root, "vit_tiny_patch16_224", 96, img_size=96)
        # The paper's two, which are large: as timm and as the original's training leave them.
        for name in ("resnet50", "vit_base_patch16_224"):
            round_trip(root, name, 224, only={"timm.safetensors", "best_acc.tar"})
        torch.save(torchvision.models.resnet50().state_dict(), root / "resnet50-torchvision.pth")
        found = json.loads(program("weights", "inspect", root / "resnet50-torchvision.pth", "--json"))
        assert (found["backbone"], found["classes"]) == ("resnet50", 1000), found
        torch.save(torchvision.models.alexnet().state_dict(), root / "alexnet.pth")
        assert "FAULT" in program("weights", "inspect", root / "alexnet.pth", code=5)
        print("torchvision: resnet50 is known, alexnet is refused")


if __name__ == "__main__":
    main()
