# Two stages: compile with everything the lock file names, run with what production needs. Run it read-only:
#   docker run --read-only --cap-drop=ALL -v "$PWD/config:/etc/sallyport:ro" -p 8443:8443 IMAGE
# To listen below 1024 add --sysctl net.ipv4.ip_unprivileged_port_start=0 (the process is not root).
FROM node:26.10.0-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts ./scripts/
COPY src ./src
RUN ["node", "scripts/build.ts"]
# Without the optional packages: the Node that they would bring is the base image's.
RUN ["npm", "prune", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--omit=optional"]

FROM node:26.10.0-slim
ENV NODE_ENV=production
# For glibc's malloc, which reads it when a process starts (docs/decisions/0013-larger-caches.md).
ENV GLIBC_TUNABLES=glibc.malloc.tcache_count=512
WORKDIR /app
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json LICENSE ./
COPY certs/demo.yaml ./certs/
# Not root, and no name needed: the numbers are those of "nonroot" in common distroless images.
USER 65532:65532
EXPOSE 8443
STOPSIGNAL SIGTERM
# The admin server answers on loopback only, which is where this runs. Exec form: no shell is needed.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["node", "-e", "fetch('http://127.0.0.1:9901/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--disable-sigusr1", "--v8-pool-size=1", "/app/dist/cli/main.js"]
CMD ["run", "--config", "/etc/sallyport"]
