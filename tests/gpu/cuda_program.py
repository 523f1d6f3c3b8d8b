"""A CUDA program that needs the driver alone: `compute`, or `fault`. It is run as a file, in a process of its own.

`compute` writes to the memory of each GPU that it sees, reads it back and prints the GPU's UUID. `fault` has a kernel
write to an address that is nobody's, and prints as JSON what came of it.
"""

import ctypes
import json
import sys
import time
import uuid
from typing import Any

_MEGABYTE = 1 << 20

_NOBODYS = 16
"""An address: as in a program that follows a null pointer."""

_KERNEL = b"""
.version 6.0
.target sm_70
.address_size 64
.visible .entry store(.param .u64 place, .param .u32 value)
{
    .reg .u64 %p;
    .reg .u32 %v;
    ld.param.u64 %p, [place];
    ld.param.u32 %v, [value];
    st.global.u32 [%p], %v;
    ret;
}
"""
"""Text for the driver's own compiler: old enough for every GPU from Volta on."""


class Driver:
    """The functions of libcuda.so.1; what is refused ends the program."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            sys.exit(f"CUDA's driver library cannot be loaded: {error}")
        self.call("cuInit", 0)

    def ask(self, function: str, *arguments: Any) -> str:
        """Call it; the name of the error, or nothing."""
        code = getattr(self._library, function)(*arguments)
        if not code:
            return ""
        name = ctypes.c_char_p()
        self._library.cuGetErrorName(code, ctypes.byref(name))
        return f"{(name.value or b'error').decode()} ({code})"

    def call(self, function: str, *arguments: Any) -> None:
        """Call it, and end when it is refused."""
        error = self.ask(function, *arguments)
        if error:
            sys.exit(f"{function}: {error}")

    def devices(self) -> list[ctypes.c_int]:
        """All that this process sees."""
        count = ctypes.c_int()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        found = [ctypes.c_int() for _ in range(count.value)]
        for number, device in enumerate(found):
            self.call("cuDeviceGet", ctypes.byref(device), number)
        return found

    def uuid(self, device: ctypes.c_int) -> str:
        """As NVML writes it."""
        number = (ctypes.c_ubyte * 16)()
        self.call("cuDeviceGetUuid_v2", ctypes.byref(number), device)
        return f"GPU-{uuid.UUID(bytes=bytes(number))}"

    def use(self, device: ctypes.c_int) -> None:
        """What follows is done there."""
        context = ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)

    def memory(self) -> ctypes.c_uint64:
        """A megabyte of it, with the same byte all over."""
        place = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(_MEGABYTE))
        self.call("cuMemsetD8_v2", place, ctypes.c_ubyte(0xA5), ctypes.c_size_t(_MEGABYTE))
        return place

    def read(self, place: ctypes.c_uint64, size: int) -> bytes:
        """What is there."""
        copy = ctypes.create_string_buffer(size)
        self.call("cuMemcpyDtoH_v2", copy, place, ctypes.c_size_t(size))
        return copy.raw

    def kernel(self) -> ctypes.c_void_p:
        """The function `store`."""
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(_KERNEL))
        self.call("cuModuleGetFunction", ctypes.byref(function), module, ctypes.c_char_p(b"store"))
        return function

    def store(self, kernel: ctypes.c_void_p, place: ctypes.c_uint64, value: int) -> str:
        """Run it once, and wait for its end; the name of the error, or nothing."""
        number = ctypes.c_uint32(value)
        pointers = (ctypes.c_void_p * 2)(ctypes.addressof(place), ctypes.addressof(number))
        self.call("cuLaunchKernel", kernel, 1, 1, 1, 1, 1, 1, 0, None, pointers, None)
        return self.ask("cuCtxSynchronize")


def compute(driver: Driver) -> None:
    """Prints a line for each GPU."""
    for device in driver.devices():
        driver.use(device)
        if driver.read(driver.memory(), _MEGABYTE) != b"\xa5" * _MEGABYTE:
            sys.exit(f"{driver.uuid(device)}: its memory does not hold what was written to it")
        print(driver.uuid(device), flush=True)


def fault(driver: Driver) -> None:
    """Prints when the kernel was launched and when its end was known, by the machine's own clock, and the error."""
    device = driver.devices()[0]
    driver.use(device)
    kernel, place = driver.kernel(), driver.memory()
    error = driver.store(kernel, place, 42)
    if error or driver.read(place, 4) != (42).to_bytes(4, "little"):
        sys.exit(f"a kernel that does nothing wrong does not work either: {error or 'nothing was written'}")
    launched = time.monotonic()
    error = driver.store(kernel, ctypes.c_uint64(_NOBODYS), 42)
    told = {"gpu": driver.uuid(device), "launched": launched, "ended": time.monotonic(), "error": error}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    {"compute": compute, "fault": fault}[sys.argv[1]](Driver())
