// libtorch's headers name handles of three CUDA libraries and use none of them: their names will do in place of 200 MB of headers.
#pragma once
typedef struct cublasContext* cublasHandle_t;
enum cublasStatus_t : int;
