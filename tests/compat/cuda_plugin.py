"""The plug-in of `make cuda`, loaded into libtorch's CUDA half as the program does it: `make compat`.

    .compat/bin/python tests/compat/cuda_plugin.py target/release/libbioscan_cuda.so

Needs no GPU: every symbol must be found, and without a GPU a recording must end in words.
"""

import ctypes
import os
import sys

import torch

FUNCTIONS = ["bioscan_nccl_backend"] + [f"bioscan_cuda_graph_{name}" for name in ("begin", "end", "replay", "free")]


def main():
    folder = os.path.join(torch.__path__[0], "lib")
    for library in ("libtorch_cpu.so", "libtorch_cuda.so"):
        ctypes.CDLL(os.path.join(folder, library), mode=ctypes.RTLD_GLOBAL)
    plugin = ctypes.CDLL(os.path.abspath(sys.argv[1]), mode=os.RTLD_NOW)
    missing = [name for name in FUNCTIONS if not hasattr(plugin, name)]
    assert not missing, f"the plug-in lacks {missing}"
    begin = plugin.bioscan_cuda_graph_begin
    begin.restype = ctypes.c_char_p
    graph = ctypes.c_void_p()
    words = begin(0, ctypes.byref(graph))
    if torch.cuda.is_available():
        assert words is None, words
        end = plugin.bioscan_cuda_graph_end
        end.restype = ctypes.c_char_p
        assert end(graph) is None
        plugin.bioscan_cuda_graph_free(graph)
    else:
        assert words, "a recording without a GPU"
    print(f"the plug-in fits torch {torch.__version__}; a recording {'works' if words is None else 'ends in ' + repr(words.splitlines()[0])}")


if __name__ == "__main__":
    main()
