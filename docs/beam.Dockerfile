# Workers of `i3d beam` on Dataflow, Flink and Spark: docs/beam.md. Build it in the folder of setup.py.
# Python and Beam must have the versions of the machine on which the command is given.
FROM python:3.11-slim

ENV I3D_TF_HOME=/opt/i3d PIP_NO_CACHE_DIR=1
COPY . /src
# Add apache-beam[gcp] for Dataflow; PyAV's wheel brings its own FFmpeg.
RUN pip install "/src[beam,remote]" "apache-beam==2.77.0" && rm -rf /src

# Weights, so that no worker downloads them: releases by their names, or networks of your own.
RUN python -c "import i3d_tf; i3d_tf.load('rgb_imagenet')"

# Beam's start of a worker.
COPY --from=apache/beam_python3.11_sdk:2.77.0 /opt/apache/beam /opt/apache/beam
ENTRYPOINT ["/opt/apache/beam/boot"]
