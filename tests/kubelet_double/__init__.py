"""A stand-in for the kubelet's device manager and podresources server, over real unix sockets.

It behaves as reference/kubelet.md says the kubelet does, quirks included; each docstring names the kubelet's own
function that the rule comes from.
"""

from kubelet_double.clock import Clock, FakeClock, SystemClock
from kubelet_double.devices import GRACE, Counts, Device
from kubelet_double.double import KubeletDouble
from kubelet_double.faults import Faults
from kubelet_double.journal import Call, Journal, NodeChange, ReceivedList, Registered
from kubelet_double.manager import AdmissionError, Granted, StartError
from kubelet_double.pods import ContainerKind, Pod, RunOptions
from kubelet_double.scripted_plugin import ScriptedPlugin

__all__ = [
    "GRACE",
    "AdmissionError",
    "Call",
    "Clock",
    "ContainerKind",
    "Counts",
    "Device",
    "FakeClock",
    "Faults",
    "Granted",
    "Journal",
    "KubeletDouble",
    "NodeChange",
    "Pod",
    "ReceivedList",
    "Registered",
    "RunOptions",
    "ScriptedPlugin",
    "StartError",
    "SystemClock",
]
