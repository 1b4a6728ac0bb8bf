# docker build -t diffit .
# docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/work" diffit sample -m fashion-mnist -n 64 -o grid.png
FROM debian:12-slim
WORKDIR /opt/diffit
# Packages and LibTorch first, so that a change of the sources does not download them again.
COPY dev ./
COPY cmake/libtorch-requirements.txt cmake/
RUN ./dev setup && rm -rf /var/lib/apt/lists/*
COPY . .
RUN ./dev build && rm -rf /root/.cache && \
    find build -type f \( -name '*.o' -o -name '*.a' -o -name '*.gch' \) -delete
WORKDIR /work
ENTRYPOINT ["/opt/diffit/bin/diffit"]
CMD ["--help"]
