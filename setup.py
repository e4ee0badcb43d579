"""Packaging of i3d_tf."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
version = {}
exec((HERE / "i3d_tf/specs/version.py").read_text(encoding="utf-8"), version)  # noqa: S102

EXTRAS = {
    "gpu": ["tensorflow[and-cuda]>=2.16"],
    "export": ["onnx>=1.17", "onnxruntime>=1.20", "safetensors>=0.4", "tf2onnx>=1.17"],
    # s3://, and what else fsspec reads; gs:// needs nothing more than TensorFlow.
    "remote": ["fsspec>=2024.6", "s3fs>=2024.6"],
    # The same through tf.io.gfile: a pair that loads together, and the last one.
    "io": ["tensorflow-io==0.37.1", "tensorflow==2.16.*"],
    # Jobs on Dataflow, Flink and Spark; for Dataflow also apache-beam[gcp].
    "beam": ["apache-beam>=2.70"],
    # Linear SVMs on features and on the outputs of two networks, and maps of features.
    "svm": ["scikit-learn>=1.4", "threadpoolctl>=3.1"],
    # The page of tools/web.py.
    "web": ["gradio>=6.31"],
    "dev": ["hypothesis>=6.100", "mypy>=1.15", "pytest>=8.0", "pytest-xdist>=3.6", "ruff>=0.9"],
}

setup(
    name="i3d_tf",
    version=version["__version__"],
    description="Inflated 3D ConvNets (I3D) for TensorFlow and Keras 3",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The i3d_tf contributors",
    license="Apache-2.0",
    keywords="action recognition, video classification, I3D, Kinetics, optical flow, FVD",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    # Two folders beside the package are installed inside it: the tools, and the small networks.
    packages=[*find_packages(include=["i3d_tf", "i3d_tf.*"]), "i3d_tf.tools", "i3d_tf.checkpoints"],
    package_dir={"i3d_tf.tools": "tools", "i3d_tf.checkpoints": "checkpoints"},
    package_data={
        "i3d_tf.specs": ["*.txt"],
        "i3d_tf.viz": ["*.css"],
        "i3d_tf.web": ["*.css"],
        "i3d_tf.checkpoints": ["manifest.json", "stick_actions_*.weights.h5"],
    },
    entry_points={"console_scripts": ["i3d = i3d_tf.tools.i3d:main"]},
    python_requires=">=3.10",
    install_requires=[
        "absl-py>=2.1",
        "av>=17.1",
        "h5py>=3.11",
        "keras>=3.7",
        "numba>=0.62",
        "numpy>=1.26",
        "opencv-contrib-python-headless>=4.11",
        "pillow>=10.0",
        "rich>=13.0",
        "tensorboard>=2.16",
        "tensorflow>=2.16",
    ],
    extras_require=EXTRAS,
)
