# highwater-server, for anybody but root, on a small image.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package highwater-server

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/highwater --create-home highwater
COPY --from=build /src/target/release/highwater-server /usr/local/bin/
USER highwater
WORKDIR /var/lib/highwater
VOLUME /var/lib/highwater
EXPOSE 8080
# On every address of the container it asks for tokens, and does not start without one: see docs/operating.md.
ENV HIGHWATER_LISTEN=0.0.0.0:8080 HIGHWATER_DATABASE=sqlite:///var/lib/highwater/highwater.db
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["highwater-server", "doctor", "--running"]
ENTRYPOINT ["highwater-server"]
