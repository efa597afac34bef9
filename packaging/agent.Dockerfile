# An example of an image for agents: Debian, an agent's CLI from npm, lockkeeper as PID 1. Copy it, and
# config/agents.toml beside it, and change what is yours. As it stands, in this repository:
#
#     docker build --tag lockkeeper --file packaging/Dockerfile .
#     docker build --tag my-agent --file packaging/agent.Dockerfile .
#     sudo install -d -o 1000 -g 1000 /srv/claude /srv/agent/dev /srv/agent/review
#     docker run --rm --interactive --tty --volume /srv/claude:/home/agent/.claude my-agent -- claude   # log in
#     docker run --detach --name agents-1 --hostname agents-1 --stop-timeout 30 \
#         --volume /srv/claude:/home/agent/.claude \
#         --volume /srv/agent:/srv/agent \
#         --volume /run/systemd/journal:/run/systemd/journal:ro \
#         my-agent
#
# The folders of the host belong to the user `agent`, 1000.
ARG LOCKKEEPER=lockkeeper
FROM ${LOCKKEEPER} AS lockkeeper

# npm stays behind: this agent is a program of its own. For one that is not, keep this image as the last.
FROM docker.io/library/node:22-bookworm-slim AS agent
ARG AGENT=@anthropic-ai/claude-code@2.1.197
RUN npm install --global --prefix /opt/agent --no-audit --no-fund "$AGENT"

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates git && \
    rm -rf /var/lib/apt/lists/*
# The login's folder is the user's also where nothing is mounted over it; lockkeeper then refuses to lock
# in there, as each container would have a lock of its own.
RUN useradd --uid 1000 --create-home agent && \
    install --directory --owner=agent --group=agent --mode=700 /home/agent/.claude && \
    install --directory --owner=agent --group=agent /srv/agent /srv/agent/dev /srv/agent/review
COPY --from=agent /opt/agent /opt/agent
COPY --from=lockkeeper /lockkeeper /usr/bin/lockkeeper
COPY config/agents.toml /etc/lockkeeper.toml
ENV PATH=/opt/agent/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV DISABLE_AUTOUPDATER=1
# By number: so a cluster sees that it is not root (runAsNonRoot).
USER 1000:1000
WORKDIR /srv/agent
ENTRYPOINT ["/usr/bin/lockkeeper"]
# It asks init alone, and waits for five seconds at most.
HEALTHCHECK --interval=1m --timeout=6s CMD ["/usr/bin/lockkeeper", "health"]
