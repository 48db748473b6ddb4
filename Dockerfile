# Strata in a container: two stages, so that the image holds the locked packages and no installer's leftovers.

FROM python:3.11-slim AS packages
COPY requirements.txt requirements-postgresql.txt requirements-s3.txt requirements-oidc.txt /tmp/
RUN python3 -m venv --without-pip /opt/strata
RUN python3 -m pip --python /opt/strata/bin/python install --no-cache-dir --no-compile --disable-pip-version-check --require-hashes -r /tmp/requirements.txt -r /tmp/requirements-postgresql.txt -r /tmp/requirements-s3.txt -r /tmp/requirements-oidc.txt
RUN /opt/strata/bin/python -m compileall -q -j 0 /opt/strata/lib

FROM python:3.11-slim
RUN groupadd --gid 10001 strata \
    && useradd --uid 10001 --gid strata --no-create-home --home-dir /var/lib/strata --shell /usr/sbin/nologin strata \
    && install -d -o strata -g strata -m 750 /var/lib/strata
COPY --from=packages /opt/strata /opt/strata
WORKDIR /opt/app
COPY manage.py gunicorn.conf.py requirements.txt ./
COPY registryui registryui
COPY dashboard dashboard
COPY templates templates
COPY static static
RUN /opt/strata/bin/python -m compileall -q registryui dashboard

ENV PATH=/opt/strata/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DASHBOARD_STATE_DIR=/var/lib/strata
USER 10001:10001
VOLUME /var/lib/strata
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "-c", "gunicorn.conf.py", "--bind", "0.0.0.0:8000", "registryui.wsgi"]
