"""What is measured against peers: `python -m benchmarks.wavelets`, `benchmarks.fcn`, `benchmarks.voc`."""
