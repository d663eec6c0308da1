# A static binary and nothing else.
#
#   docker build -t wattkeeper .
#   docker run --stop-timeout 60 -v ./wattkeeper.toml:/etc/wattkeeper/wattkeeper.toml:ro -v wattkeeper:/var/lib/wattkeeper \
#     -p 127.0.0.1:9810:9810 wattkeeper
#
# In a container, [http] listen = "0.0.0.0:9810". For a serial line: --device /dev/ttyUSB0 --group-add dialout.

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# glibc, linked statically. --target keeps the flag away from build scripts and macros.
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN host="$(rustc --print host-tuple)" \
 && cargo build --release --locked --target "$host" \
 && install -D "target/$host/release/wattkeeper" /out/wattkeeper \
 && mkdir -p /out/state

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65534:65534 /out/state /var/lib/wattkeeper
COPY --from=build /out/wattkeeper /wattkeeper
USER 65534:65534
VOLUME /var/lib/wattkeeper
EXPOSE 9810
ENTRYPOINT ["/wattkeeper"]
CMD ["run", "--config", "/etc/wattkeeper/wattkeeper.toml"]
