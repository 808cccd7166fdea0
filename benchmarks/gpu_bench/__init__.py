"""Parts of the GPU benchmark; ``benchmarks/gpu.sh`` is the command."""
