# qtaml-hw on a machine with nothing but Docker; torch by its CPU build (a plain `pip install torch` pulls gigabytes of CUDA).
#
#   docker build -t qtaml-hw .
#   docker run --rm -v "$PWD:/studies" qtaml-hw run my.yaml
FROM python:3.11-slim
COPY . /source
RUN grep '^torch==' /source/constraints.txt > /torch.txt \
 && pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu --extra-index-url https://pypi.org/simple -r /torch.txt \
 && PIP_CONSTRAINT=/source/constraints.txt pip install --no-cache-dir "/source[frames,search,onnx,tflite]" \
 && rm -r /source /torch.txt
RUN useradd --create-home user
USER user
WORKDIR /studies
ENTRYPOINT ["qtaml-hw"]
CMD ["--help"]
