// The header that comes with clang, as far as xla_rs.h needs it: the wheel with libclang brings no headers along.
#pragma once
#define NULL ((void *)0)
typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;
