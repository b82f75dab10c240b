# Two stages: one that has Go, one that has nothing but the program.
#
# The second is empty on purpose: no shell, no package manager, nothing to update
# but the program itself. It runs as a user without a name, on a root file system
# that may be read-only; only /data is written to.
#
#   docker build --build-arg VERSION=1.2.3 -t stripe-enhance .
#   docker run --rm --read-only stripe-enhance demo
#   docker run --env-file .env -v data:/data -p 8080:8080 --read-only --cap-drop ALL --security-opt no-new-privileges stripe-enhance
#
# For several platforms, without emulation, because Go compiles for each of them on any:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=1.2.3 .

FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build
WORKDIR /src
# Modules first: they change less often than the code, so this layer is kept.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
ARG TARGETOS
ARG TARGETARCH
# CGO_ENABLED=0: no C library, so it runs where there is none. timetzdata: cron
# expressions may name a time zone, and an empty image has no zone files.
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH CGO_ENABLED=0 go build -trimpath -tags timetzdata -ldflags "-s -w -buildid= -X main.build=$VERSION" -o /out/stripe-enhance ./cmd/stripe-enhance
RUN mkdir -p /out/data

FROM scratch
ARG VERSION=
LABEL org.opencontainers.image.title=stripe-enhance \
      org.opencontainers.image.description="Keeps hosting at Enhance in step with what customers pay for at Stripe" \
      org.opencontainers.image.source=https://github.com/stripe-enhance/stripe-enhance \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=$VERSION
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/stripe-enhance /stripe-enhance
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV DATABASE_URL=sqlite:/data/stripe-enhance.db TMPDIR=/data
EXPOSE 8080
# The program asks itself: there is no shell here, and no curl.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/stripe-enhance", "healthcheck"]
ENTRYPOINT ["/stripe-enhance"]
CMD ["serve"]
