# One image for every role: code location, webserver, daemon, desk, run pods, one-shot sync.
# Built by docker, podman or buildah (`make image`). What takes up space: docs/deployment.md.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# What builds stays here: the image has neither pip nor setuptools.
COPY requirements-build.lock requirements-image.lock ./
RUN python3 -m venv tools \
    && tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-build.lock \
    && python3 -m venv --without-pip /opt/safetyamp \
    && tools/bin/pip --python /opt/safetyamp/bin/python install --no-cache-dir --disable-pip-version-check --require-hashes \
         --only-binary :all: -r requirements-image.lock
COPY pyproject.toml README.md ./
COPY safetyamp_pipelines safetyamp_pipelines
RUN tools/bin/pip wheel --no-deps --no-build-isolation --disable-pip-version-check --wheel-dir wheels . \
    && tools/bin/pip --python /opt/safetyamp/bin/python install --no-deps --no-index --disable-pip-version-check wheels/*.whl
# microsoft: ODBC driver 18 (read its licence before you distribute the image); freetds: Debian's free driver.
ARG ODBC_DRIVER=microsoft
# What no role needs: tests and headers of libraries, place names of phone numbers, Arrow Flight, a second Kubernetes client,
# the driver's builds for other systems.
RUN if [ "${ODBC_DRIVER}" = freetds ]; then tools/bin/pip --python /opt/safetyamp/bin/python uninstall --yes mssql-python-odbc; fi \
    && cd /opt/safetyamp/lib/python3.11/site-packages \
    && rm -rf pyarrow/tests pyarrow/include pyarrow/*flight* phonenumbers/geodata \
         kubernetes/aio mssql_python_odbc/libs/linux/rhel mssql_python_odbc/libs/linux/suse \
         ../../../bin/safetyamp-sandbox

FROM ${PYTHON_IMAGE}
ARG PYTHON_IMAGE
ARG ODBC_DRIVER=microsoft
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="safetyamp-pipelines" \
      org.opencontainers.image.description="Keeps SafetyAmp in step with Viewpoint Vista, Microsoft Entra ID and Samsara" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
RUN apt-get update \
    && apt-get install -y --no-install-recommends bash unixodbc libgssapi-krb5-2 libltdl7 \
    && if [ "${ODBC_DRIVER}" = freetds ]; then apt-get install -y --no-install-recommends tdsodbc; fi \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin safetyamp \
    && install -d -o 10001 -g 10001 /opt/dagster/dagster_home /var/lib/safetyamp
COPY --from=build /opt/safetyamp /opt/safetyamp
COPY dagster.yaml workspace.yaml /opt/dagster/
COPY dagster.yaml /opt/dagster/dagster_home/dagster.yaml
ENV PATH=/opt/safetyamp/bin:/usr/local/bin:/usr/bin:/bin \
    DAGSTER_HOME=/opt/dagster/dagster_home \
    SAFETYAMP_DATA_DIR=/var/lib/safetyamp \
    LOG_FORMAT=json \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/dagster
USER 10001:10001
EXPOSE 4000
HEALTHCHECK --interval=30s --timeout=30s --start-period=60s CMD ["dagster", "api", "grpc-health-check", "-p", "4000"]
CMD ["dagster", "api", "grpc", "-h", "0.0.0.0", "-p", "4000", "-m", "safetyamp_pipelines.definitions"]
