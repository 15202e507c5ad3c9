# The server of docker-compose.yml's profile postgres: Debian's PostgreSQL 15, as user 10001, with
# its data in /data and the password of the role `tranche`, made at the first start, in /secret.

ARG BASE=debian:12-slim
FROM ${BASE}
RUN mkdir -p /etc/postgresql-common && \
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf && \
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends postgresql-15 >/dev/null && \
    apt-get clean && rm -rf /var/lib/apt/lists/* && \
    useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tranche && \
    install -d -o tranche -g tranche -m 0700 /data /secret
COPY packaging/tranche-postgres /usr/local/bin/tranche-postgres
USER 10001:10001
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin PGHOST=/tmp
CMD ["tranche-postgres"]
