# Two images from one file: `backroom` for production, `stand-ins` with Amazon's side for trying everything.
FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/backroom/.venv/bin:$PATH
WORKDIR /opt/backroom
COPY requirements.txt pyproject.toml README.md LICENSE ./
RUN python -m venv .venv && .venv/bin/pip install --quiet "$(grep -E '^uv==' requirements.txt)"
COPY include include
COPY connector_app connector_app
# the lock as constraints: the same versions, only what this image's extras name
RUN .venv/bin/uv pip install --quiet --python .venv/bin/python --constraint requirements.txt --editable . \
    && rm -rf include/jwo_sandbox
COPY dags dags
COPY plugins plugins
COPY expectations expectations
COPY deploy/airflow deploy/airflow
RUN useradd --create-home backroom && mkdir -p /var/lib/backroom && chown backroom /var/lib/backroom
ENV BACKROOM_HOME=/var/lib/backroom
USER backroom

FROM base AS backroom

FROM base AS stand-ins
USER root
COPY include/jwo_sandbox include/jwo_sandbox
RUN .venv/bin/uv pip install --quiet --python .venv/bin/python --constraint requirements.txt --editable ".[sandbox]"
USER backroom
