"""Packaging of i3d_tf."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
version = {}
exec((HERE / "i3d_tf/specs/version.py").read_text(encoding="utf-8"), version)  # noqa: S102

setup(
    name="i3d_tf",
    version=version["__version__"],
    description="Inflated 3D ConvNets (I3D) for TensorFlow and Keras 3",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["i3d_tf", "i3d_tf.*"]),
    package_data={"i3d_tf.specs": ["*.txt"], "i3d_tf.evaluation": ["*.css"]},
    python_requires=">=3.10",
    install_requires=[
        "absl-py>=2.1",
        "av>=14.0",
        "h5py>=3.10",
        "keras>=3.6",
        "numba>=0.62",
        "numpy>=1.26",
        "opencv-contrib-python-headless>=4.12",
        "rich>=13.0",
        "tensorboard>=2.16",
        "tensorflow>=2.16",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.16"],
        "export": ["onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.17"],
        "dev": ["hypothesis>=6.100", "mypy>=1.15", "pytest>=8.0", "pytest-xdist>=3.6", "ruff>=0.9"],
    },
)
