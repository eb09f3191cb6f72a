# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS build
WORKDIR /app
# Node's headers are in the image: nothing is downloaded for them.
ENV npm_config_nodedir=/usr/local
# hnswlib-node compiles: without these three the image would search exactly, and say so.
RUN apt-get update && apt-get install -y --no-install-recommends python3 make g++ && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
# OpenTelemetry is an optional peer of the package, and so among what is pruned; the image has it, loaded only where it is asked for.
RUN npm run build && cp -a node_modules/@opentelemetry . && npm prune --omit=dev --ignore-scripts && \
  cp -an @opentelemetry node_modules/ && npm rebuild hnswlib-node
# The other systems' copies of the runtime are three quarters of the image.
RUN cd node_modules/onnxruntime-node/bin/napi-v6 && rm -rf darwin win32

FROM node:24-bookworm-slim
ENV NODE_ENV=production NEARVOTE_HOST=0.0.0.0 NEARVOTE_PORT=8080 NEARVOTE_INDEX=index/cifar10
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --chown=node:node models models
COPY --chown=node:node index index
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=2s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.NEARVOTE_PORT||8080)+'/readyz').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
# Exec form: node is process 1 and receives SIGTERM itself.
CMD ["node", "dist/cli/main.js", "serve"]
