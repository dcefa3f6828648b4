// SPDX-License-Identifier: Apache-2.0
//
// Reading arguments: every length and number is checked here, before a pointer
// to it goes to the kernel. src/ checks the same earlier with better words.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir
{

using Bytes = std::vector<uint8_t>;

struct View {
	const uint8_t *data;
	size_t size;
};

inline View GetView(const Napi::Value &value, const char *what)
{
	if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
		throw Napi::TypeError::New(value.Env(), std::string(what) + " must be a Uint8Array");
	auto array = value.As<Napi::Uint8Array>();
	return {array.Data(), array.ByteLength()};
}

inline View GetView(const Napi::Value &value, const char *what, size_t size)
{
	const View view = GetView(value, what);
	if (view.size != size)
		throw Napi::RangeError::New(value.Env(), std::string(what) + " must have " + std::to_string(size) +
								 " bytes, not " + std::to_string(view.size));
	return view;
}

inline Bytes GetBytes(const Napi::Value &value, const char *what)
{
	const View view = GetView(value, what);
	return Bytes(view.data, view.data + view.size);
}

inline uint32_t GetU32(const Napi::Value &value, const char *what)
{
	const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
	if (!(number >= 0 && number <= UINT32_MAX) || number != static_cast<double>(static_cast<uint32_t>(number)))
		throw Napi::RangeError::New(
			value.Env(), std::string(what) + " must be a whole number from 0 to 4294967295");
	return static_cast<uint32_t>(number);
}

inline uint32_t GetU32(const Napi::Value &value, const char *what, uint32_t otherwise)
{
	return value.IsUndefined() ? otherwise : GetU32(value, what);
}

inline uint64_t GetU64(const Napi::Value &value, const char *what)
{
	bool lossless = false;
	const uint64_t number = value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&lossless) : 0;
	if (!lossless)
		throw Napi::RangeError::New(value.Env(), std::string(what) + " must be a bigint from 0 to 2^64 - 1");
	return number;
}

inline std::string GetString(const Napi::Value &value, const char *what)
{
	if (!value.IsString())
		throw Napi::TypeError::New(value.Env(), std::string(what) + " must be a string");
	std::string text = value.As<Napi::String>();
	if (text.find('\0') != std::string::npos)
		throw Napi::TypeError::New(value.Env(), std::string(what) + " must not contain a zero byte");
	return text;
}

// Empty when undefined.
inline std::string GetOptionalString(const Napi::Value &value, const char *what)
{
	return value.IsUndefined() ? std::string() : GetString(value, what);
}

inline bool GetBool(const Napi::Value &value, bool otherwise = false)
{
	return value.IsBoolean() ? value.As<Napi::Boolean>().Value() : otherwise;
}

// Hands the bytes to JavaScript without copying them.
inline Napi::Value ToBuffer(Napi::Env env, Bytes bytes)
{
	if (bytes.empty())
		return Napi::Buffer<uint8_t>::New(env, 0);
	auto *owned = new Bytes(std::move(bytes));
	return Napi::Buffer<uint8_t>::NewOrCopy(
		env, owned->data(), owned->size(), [](Napi::Env, uint8_t *, Bytes *memory) { delete memory; }, owned);
}

} // namespace weir
