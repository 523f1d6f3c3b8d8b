"""NVIDIA GPUs: asked through the driver's own library (NVML) where it can be had, else read from /proc/driver/nvidia."""
