//! The attributes of a node: each is taken by its name and type, once.

use std::rc::Rc;

use super::Node;
use crate::Error;
use crate::proto::{AttributeProto, AttributeType, TensorProto};
use crate::scope::code::Code;

impl<'a> Node<'a> {
    /// The node's attributes, none of which is unread then.
    pub(crate) fn take_attributes(&self) -> Vec<AttributeProto> {
        self.unread.borrow_mut().clear();
        self.proto.attribute.clone()
    }

    /// Takes the integer attribute `name`.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, Error> {
        Ok(self.attribute(name, AttributeType::Int)?.map(|a| a.i))
    }

    /// Takes the attribute `name`, an integer that stands for a truth value.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        match self.int(name)? {
            None => Ok(None),
            Some(0) => Ok(Some(false)),
            Some(1) => Ok(Some(true)),
            Some(other) => Err(self.bad_attribute(name, format!("is {other}, expected 0 or 1"))),
        }
    }

    /// Takes the float attribute `name`.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f32>, Error> {
        Ok(self.attribute(name, AttributeType::Float)?.map(|a| a.f))
    }

    /// Takes the attribute `name`, a list of integers.
    pub(crate) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, Error> {
        let attribute = self.attribute(name, AttributeType::Ints)?;
        Ok(attribute.map(|a| a.ints.as_slice()))
    }

    /// Takes the attribute `name`, a list of floats.
    pub(crate) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, Error> {
        let attribute = self.attribute(name, AttributeType::Floats)?;
        Ok(attribute.map(|a| a.floats.as_slice()))
    }

    /// Takes the attribute `name`, a list of strings.
    pub(crate) fn names(&self, name: &str) -> Result<Option<Vec<&'a str>>, Error> {
        let Some(attribute) = self.attribute(name, AttributeType::Strings)? else {
            return Ok(None);
        };
        let names = attribute.strings.iter().map(|s| str::from_utf8(s));
        let names = names.collect::<Result<_, _>>();
        names
            .map(Some)
            .map_err(|_| self.bad_attribute(name, "is not UTF-8"))
    }

    /// Takes the string attribute `name`.
    pub(crate) fn string(&self, name: &str) -> Result<Option<&'a str>, Error> {
        match self.attribute(name, AttributeType::String)? {
            None => Ok(None),
            Some(a) => str::from_utf8(&a.s)
                .map(Some)
                .map_err(|_| self.bad_attribute(name, "is not UTF-8")),
        }
    }

    /// Takes the tensor attribute `name`.
    pub(crate) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, Error> {
        match self.attribute(name, AttributeType::Tensor)? {
            None => Ok(None),
            Some(a) => match &a.t {
                Some(tensor) => Ok(Some(tensor)),
                None => Err(self.bad_attribute(name, "has no tensor")),
            },
        }
    }

    /// Takes the attribute `name`, a graph.
    pub(crate) fn graph(&self, name: &str) -> Result<Rc<Code>, Error> {
        let found = self.attribute(name, AttributeType::Graph)?;
        let graph = self.inside.and_then(|(_, graphs)| graphs.get(name));
        let graph = graph.filter(|_| found.is_some());
        graph
            .cloned()
            .ok_or_else(|| self.bad_attribute(name, "is missing"))
    }

    fn attribute(
        &self,
        name: &str,
        expected: AttributeType,
    ) -> Result<Option<&'a AttributeProto>, Error> {
        self.unread.borrow_mut().remove(name);
        let Some(found) = self.proto.attribute.iter().find(|a| a.name == name) else {
            return Ok(None);
        };
        if found.r#type == expected as i32 {
            return Ok(Some(found));
        }
        let got = AttributeType::try_from(found.r#type).unwrap_or(AttributeType::Undefined);
        Err(self.bad_attribute(
            name,
            format!(
                "has type {}, expected {}",
                got.as_str_name(),
                expected.as_str_name()
            ),
        ))
    }
}
