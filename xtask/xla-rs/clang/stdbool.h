// The header that comes with clang, as far as xla_rs.h needs it: the wheel with libclang brings no headers along.
#pragma once
#define bool _Bool
#define true 1
#define false 0
