"""A training run as a PyTorch user writes it: `trainer.py TABLE IMAGES MODEL BATCH EPOCHS RESIZE CROP`.

TABLE is the metadata as TSV (image_file, chunk_number, a label and a split column, the last two), IMAGES the folder of `part{N}`. The first
line on stdout comes after the first step, the last one holds {"peak_mib": ..., "epoch_s": the last epoch's wall time}. Under torchrun of
several ranks it is DistributedDataParallel over gloo.
"""

import csv
import json
import os
import resource
import sys
import time

import timm
import torch
from PIL import Image
from torchvision import transforms


def main():
    table, folder, name, batch, epochs, resize, crop = sys.argv[1:]
    batch, epochs = int(batch), int(epochs)
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "1")))
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    with open(table, newline="") as file:
        rows = [list(row.values()) for row in csv.DictReader(file, delimiter="\t")]
    rows = [row for row in rows if row[-1] == "train"]
    classes = sorted({row[-2] for row in rows})
    views = transforms.Compose(
        [transforms.Resize(int(resize)), transforms.RandomCrop(int(crop)), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    )

    class Insects(torch.utils.data.Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, index):
            file, chunk, label = rows[index][0], rows[index][1], rows[index][-2]
            with Image.open(os.path.join(folder, f"part{chunk}", file)) as image:
                return views(image.convert("RGB")), classes.index(label)

    data = Insects()
    sampler = torch.utils.data.DistributedSampler(data) if ranks > 1 else torch.utils.data.RandomSampler(data)
    batches = torch.utils.data.DataLoader(data, batch_size=batch // ranks, sampler=sampler, num_workers=1)
    model = timm.create_model(name, pretrained=False, num_classes=len(classes)).train()
    if ranks > 1:
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4)
    first = True
    for _ in range(epochs):
        started = time.perf_counter()
        for images, labels in batches:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimiser.step()
            if first:
                print("first step done", flush=True)
                first = False
        took = time.perf_counter() - started
    usages = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"peak_mib": sum(usages) / 1024, "epoch_s": took}), flush=True)


main()
