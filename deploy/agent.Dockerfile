# The agent with a Python and pytest, recording an example. A suite of one's own needs the program alone: see docs/ci.md.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package highwater

FROM python:3.11-slim-bookworm
RUN pip install --no-cache-dir "pytest>=9,<10" && useradd --uid 10001 --create-home highwater
COPY --from=build /src/target/release/highwater /usr/local/bin/
COPY --chown=highwater examples/accumulating-suite /home/highwater/accumulating-suite
USER highwater
WORKDIR /home/highwater
RUN python accumulating-suite/generate.py suite --scale 0.1
CMD ["highwater", "run", "--project", "example/accumulating", "--job", "compose", "--", "python", "-m", "pytest", "-q", "suite"]
