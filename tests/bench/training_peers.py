"""The training peers of the benchmark: PyTorch as its users run it. `peers.py` asks for one by name; each returns (run, versions).

A request's `files` are the prepared images, `repetitions` how many batches or steps; `out` holds what else a method wants to know, as
`name=value` words.
"""

import os


def words(request):
    return dict(word.split("=", 1) for word in str(request["out"]).split())


def loader():
    """torchvision's transforms of the original on PIL images, by a DataLoader: decode, resize to 256, crop 224, flip, ToTensor, batch."""
    import PIL
    import torch
    import torchvision
    from PIL import Image
    from torchvision import transforms

    torch.set_num_threads(1)
    views = transforms.Compose(
        [transforms.Resize(256), transforms.RandomCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    )

    class Folder(torch.utils.data.Dataset):
        def __init__(self, files, repetitions):
            self.files = files * repetitions

        def __len__(self):
            return len(self.files)

        def __getitem__(self, index):
            with Image.open(self.files[index]) as image:
                return views(image.convert("RGB")), index % 16

    def run(request, images):
        data = Folder([path for path, _ in images], request["repetitions"])
        batches = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True, num_workers=int(words(request)["workers"]))
        for pixels, labels in batches:
            assert pixels.shape[1:] == (3, 224, 224) and len(labels) == len(pixels)

    versions = {"PyTorch": torch.__version__, "torchvision": torchvision.__version__, "Pillow": PIL.__version__}
    return run, versions


def model_and_step(name, classes, batch, compiled=False, **place):
    """timm's network, SGD as in the original, random images: returns a function that takes one step. On a GPU in bfloat16."""
    import timm
    import torch

    torch.manual_seed(1)
    model = timm.create_model(name, pretrained=False, num_classes=classes).to(**place).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9, nesterov=True, weight_decay=1e-4)
    images, labels = torch.rand(batch, 3, 224, 224).to(**place), torch.arange(batch).to(place.get("device")) % classes
    forward = torch.compile(model) if compiled else model

    def step():
        optimiser.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=images.is_cuda):
            loss = torch.nn.functional.cross_entropy(forward(images), labels)
        loss.backward()
        optimiser.step()

    return step


def step():
    """`repetitions` training steps of the network `model` at batch size `batch`; two unmeasured ones when it is first asked for."""
    import timm
    import torch

    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "1")))
    ready = {}

    def run(request, _):
        wanted = words(request)
        key = (wanted["model"], int(wanted["batch"]))
        if key not in ready:
            ready.clear()
            ready[key] = model_and_step(key[0], 16, key[1])
            ready[key]()
            ready[key]()
        for _ in range(request["repetitions"]):
            ready[key]()

    return run, {"PyTorch": torch.__version__, "timm": timm.__version__}


def gpu_step():
    """The same on a GPU, bfloat16 and channels last, as torch.compile makes it where `compile` is 1; five unmeasured ones before."""
    import timm
    import torch

    ready = {}

    def run(request, _):
        wanted = words(request)
        key = (wanted["model"], int(wanted["batch"]), wanted["compile"] == "1")
        if key not in ready:
            ready.clear()
            place = {"device": "cuda", "memory_format": torch.channels_last}
            ready[key] = model_and_step(key[0], 16, key[1], compiled=key[2], **place)
            for _ in range(5):
                ready[key]()
        torch.cuda.synchronize()
        for _ in range(request["repetitions"]):
            ready[key]()
        torch.cuda.synchronize()

    return run, {"PyTorch": torch.__version__, "timm": timm.__version__, "GPU": torch.cuda.get_device_name()}
