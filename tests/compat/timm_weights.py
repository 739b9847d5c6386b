#!/usr/bin/env python3
"""timm, torchvision and torch.save on one side, `bioscan-hpc weights` on the other: whatever they write is taken in, whatever it gives out
they build a network from, and the logits are the same bits. `make compat` runs it.

    python3 tests/compat/timm_weights.py target/release/bioscan-hpc
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file

PROGRAM = sys.argv[1]
CLASSES = 16


def weights(*arguments: object, code: int = 0) -> str:
    done = subprocess.run([PROGRAM, "weights", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def build(name: str, **arguments: object) -> torch.nn.Module:
    torch.manual_seed(1)
    return timm.create_model(name, pretrained=False, num_classes=CLASSES, **arguments).eval()


def forms(folder: pathlib.Path, model: torch.nn.Module) -> list[pathlib.Path]:
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


def round_trip(root: pathlib.Path, name: str, side: int, **arguments: object) -> None:
    folder = root / name
    folder.mkdir()
    model = build(name, **arguments)
    labels = folder / "labels.txt"
    labels.write_text("".join(f"class {index}\n" for index in range(CLASSES)))
    for path in forms(folder, model):
        found = json.loads(weights("inspect", path, "--json"))
        assert (found["backbone"], found["classes"], found["image_size"]) == (name, CLASSES, side), found
        imported = pathlib.Path(weights("import", path, "--out", folder / f"in-{path.stem}").strip())
        again = build(name, **arguments)
        again.load_state_dict(load_file(imported), strict=False)
        same_logits(again, model, side)
        exported = folder / f"out-{path.stem}"
        weights("export", path, "--classes", labels, "--out", exported)
        same_logits(timm.create_model(f"local-dir:{exported}", pretrained=True), model, side)
        card = json.loads((exported / "config.json").read_text())
        assert card["label_names"][1] == "class 1" and card["pretrained_cfg"]["mean"] == [0.0, 0.0, 0.0]
    print(f"{name}: five forms in, safetensors and config.json out, equal logits")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        round_trip(root, "resnet18", 224)
        round_trip(root, "test_vit", 160)
        round_trip(root, "vit_tiny_patch16_224", 96, img_size=96)
        torch.save(torchvision.models.resnet50().state_dict(), root / "resnet50-torchvision.pth")
        found = json.loads(weights("inspect", root / "resnet50-torchvision.pth", "--json"))
        assert (found["backbone"], found["classes"]) == ("resnet50", 1000), found
        torch.save(torchvision.models.alexnet().state_dict(), root / "alexnet.pth")
        assert "FAULT" in weights("inspect", root / "alexnet.pth", code=5)
        print("torchvision: resnet50 is known, alexnet is refused")


if __name__ == "__main__":
    main()
