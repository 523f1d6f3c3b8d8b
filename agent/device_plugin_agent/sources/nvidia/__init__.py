"""NVIDIA GPUs: asked through the driver's library (NVML) where it can be had, else read from /proc/driver/nvidia."""
