// Stands in for XLA's header, of which the crate uses nothing that is left without a GPU client.
#pragma once
