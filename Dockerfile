# Built by podman 4.3.1, on a base image made from Debian 12 and Node 20: the published one was never pulled, and no docker built it.
# Agents are not part of it: add the ones you use, or start from this image. They end with the container; Lazarus runs them again.
FROM node:20-bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 make g++ ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY vite.build.config.ts ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
# bubblewrap is the sandbox: the container must be allowed namespaces and mounts (docker: --security-opt seccomp=unconfined
# --security-opt apparmor=unconfined --security-opt systempaths=unconfined, as in docker-compose.yml), else agents cannot be
# summoned, and serve says so: none runs as the user that holds the token. procps is for people who look inside; tini ends what
# is left of agents when they end.
RUN apt-get update && apt-get install -y --no-install-recommends git ca-certificates bubblewrap procps tini \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json ./
COPY bin ./bin
COPY .gitea ./.gitea
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/src/dashboard/static ./src/dashboard/static
ENV LAZARUS_CONFIG=/etc/lazarus/lazarus.yaml LAZARUS_LISTEN=0.0.0.0:8420 \
  LAZARUS_DATA=/var/lib/lazarus/data LAZARUS_MISSIONS=/var/lib/lazarus/missions
RUN install -d -o node -g node -m 0700 /var/lib/lazarus
USER node
VOLUME /var/lib/lazarus
EXPOSE 8420
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "node", "/app/bin/lazarus.js"]
CMD ["serve"]
